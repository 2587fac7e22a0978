{#- What load_log does not have: the requested month's trips, or the zones. -#}
{% test month_is_loaded(model) %}
    select needed.* from (values ('raw_trips', {{ source_month() }}), ('raw_zones', null)) as needed (table_name, source_month)
    where not exists (
        select from {{ model }} as logged
        where logged.table_name = needed.table_name and logged.source_month is not distinct from needed.source_month
    )
{% endtest %}
