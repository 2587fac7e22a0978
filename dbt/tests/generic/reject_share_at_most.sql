{#- One row for the month, if more than `share` (0 to 1) of its rows are rejected. -#}
{% test reject_share_at_most(model, share) %}
    {{ config(meta={'may_be_accepted': true}) }}
    select
        rows, rejected,
        format(
            '%s of %s rows are rejected, %s %%, and at most %s %% may be; the commonest reasons: %s',
            rejected, rows, round(100.0 * rejected / rows, 2), trim_scale({{ share }} * 100.0),
            (
                select string_agg(rejection_reason || ' ' || rows, ', ' order by rows desc, rejection_reason)
                from (
                    select rejection_reason, count(*) as rows
                    from {{ model }} where rejection_reason is not null
                    group by 1 order by 2 desc, 1 limit 3
                ) as commonest
            )
        ) as why
    from (select count(*) as rows, count(rejection_reason) as rejected from {{ model }}) as counted
    where rejected > {{ share }} * rows
{% endtest %}
