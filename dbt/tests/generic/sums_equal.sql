{#-
    The sums of the model and those of the accepted trips, where they differ. Returns nothing where the two were made
    from different versions of the file, as when one of them alone was cleared after a newer load: such a slice is not
    published.
-#}
{% test sums_equal(model, trips) %}
    {%- set version = '(select file_id from ' ~ trips ~ ' limit 1)' %}
    {%- set measures = ['trip_distance', 'fare_amount', 'tip_amount', 'tolls_amount', 'total_amount'] %}
    select to_jsonb(summed) as summed, to_jsonb(expected) as expected
    from (
        select
            sum(trips)::bigint as trips, sum(reversals)::bigint as reversals
            {%- for each in measures %}, sum({{ each }}) as {{ each }}{% endfor %}
        from {{ model }}
    ) as summed
    cross join (
        select
            nullif(count(*), 0) as trips, sum(is_reversal::int) as reversals
            {%- for each in measures %}, sum({{ each }}) as {{ each }}{% endfor %}
        from {{ trips }} where rejection_reason is null
    ) as expected
    where (summed.*) is distinct from (expected.*)
        and coalesce((select file_id from {{ model }} limit 1), {{ version }}) is not distinct from {{ version }}
{% endtest %}
