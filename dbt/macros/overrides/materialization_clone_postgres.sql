{#- Refuses always. -#}
{%- materialization clone, adapter='postgres' -%}
    {{ exceptions.raise_compiler_error('dbt clone would put a view in the place of ' ~ this ~ '. Use dbt build.') }}
{%- endmaterialization -%}
