{#- One row for the month, if its raw rows are not as many as load_log says, or not numbered from 1 without a gap. -#}
{% test rows_as_logged(model) %}
    select
        logged.source_month, logged.rows, counted.*,
        format(
            'load_log says %s rows, and the raw table has %s, with %s numbers from %s to %s',
            logged.rows, raw_rows, numbers, coalesce(first::text, 'none'), coalesce(last::text, 'none')
        ) as why
    from {{ load_log() }} as logged
    cross join (
        select
            count(*) as raw_rows, count(distinct source_row) as numbers,
            min(source_row) as first, max(source_row) as last
        from {{ model }} where source_month = {{ source_month() }}
    ) as counted
    where logged.source_month = {{ source_month() }}
        and (counted.raw_rows, counted.numbers, counted.first, counted.last)
            is distinct from (logged.rows, logged.rows, 1, logged.rows)
{% endtest %}
