{#- Refuses outside the run's own schema: dbt renames a table to put another in its place. -#}
{%- macro postgres__rename_relation(from_relation, to_relation) -%}
    {{ refuse_to_lose(from_relation) }}
    {{ default__rename_relation(from_relation, to_relation) }}
{%- endmacro -%}
