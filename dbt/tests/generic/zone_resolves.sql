{#- Accepted rows whose zone the zones do not have. -#}
{% test zone_resolves(model, column_name, zones) %}
    select trips.source_row, trips.{{ column_name }}
    from {{ model }} as trips
    left join {{ zones }} as zones on zones.zone_id = trips.{{ column_name }}
    where trips.rejection_reason is null and trips.{{ column_name }} is not null and zones.zone_id is null
{% endtest %}
