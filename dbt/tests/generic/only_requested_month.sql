{#- Rows of another month than the requested one. -#}
{% test only_requested_month(model, column_name) %}
    select * from {{ model }}
    where {{ column_name }} is distinct from {{ source_month() }}
{% endtest %}
