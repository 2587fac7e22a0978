{#- Raw rows that are not in the model, or the other way round. Returns nothing if the file was loaded anew since. -#}
{% test every_raw_row_is_judged(model, raw) %}
    select source_row, raw.total_amount as raw_amount, judged.total_amount as judged_amount
    from (select * from {{ raw }} where source_month = {{ source_month() }}) as raw
    full join {{ model }} as judged using (source_row)
    where {{ is_current(model) }}
        and (
            raw.source_month is null or judged.source_month is null
            or {{ exact('raw.total_amount') }} is distinct from judged.total_amount
        )
{% endtest %}
