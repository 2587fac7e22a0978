{#- The other months that pickups of the file lie in, if more than `share` (0 to 1) of its rows have such pickups. -#}
{% test pickups_outside_month_at_most(model, share) %}
    select
        source_month, pickup_month, rows, rows_in_file,
        format(
            '%s of %s pickups are of other months, %s %%, and at most %s %% may be; most of them of %s: %s',
            rows_outside, rows_in_file, round(100.0 * rows_outside / rows_in_file, 2), trim_scale({{ share }} * 100.0),
            coalesce(to_char(pickup_month, 'YYYY-MM'), 'no month'), rows
        ) as why
    from (
        select
            source_month, pickup_month, rows, sum(rows) over () as rows_in_file,
            sum(rows) filter (where pickup_month <> source_month) over () as rows_outside
        from (
            select source_month, date_trunc('month', pickup_at)::date as pickup_month, count(*) as rows
            from {{ model }} group by 1, 2
        ) as by_month
    ) as counted
    where pickup_month <> source_month and rows_outside > {{ share }} * rows_in_file
    order by rows desc
{% endtest %}
