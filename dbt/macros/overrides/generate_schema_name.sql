{#- Two schemas: the published one, which all months share, and the run's own. -#}
{%- macro generate_schema_name(custom_schema_name, node) -%}
    {{ return(target.schema if custom_schema_name == 'published' else run_schema()) }}
{%- endmacro -%}
