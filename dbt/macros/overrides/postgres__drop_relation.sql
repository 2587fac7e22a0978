{#- Refuses outside the run's own schema. -#}
{%- macro postgres__drop_relation(relation) -%}
    {{ refuse_to_lose(relation) }}
    {{ default__drop_relation(relation) }}
{%- endmacro -%}
