{#- Refuses every schema but the run's own. -#}
{%- macro postgres__drop_schema(relation) -%}
    {{ refuse_to_lose(relation) }}
    {%- call statement('drop_schema') -%}
        drop schema if exists {{ relation.without_identifier().include(database=false) }} cascade
    {%- endcall -%}
{%- endmacro -%}
