{#- Refuses outside the run's own schema. -#}
{%- macro postgres__truncate_relation(relation) -%}
    {{ refuse_to_lose(relation) }}
    {{ default__truncate_relation(relation) }}
{%- endmacro -%}
