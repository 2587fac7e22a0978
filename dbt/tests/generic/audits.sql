{#- Rows of another month than the requested one. -#}
{% test only_requested_month(model, column_name) %}
    select * from {{ model }}
    where {{ column_name }} is distinct from {{ source_month() }}
{% endtest %}

{#- What load_log does not have: the requested month's trips, or the zones. -#}
{% test month_is_loaded(model) %}
    select needed.* from (values ('raw_trips', {{ source_month() }}), ('raw_zones', null)) as needed (table_name, source_month)
    where not exists (
        select from {{ model }} as logged
        where logged.table_name = needed.table_name and logged.source_month is not distinct from needed.source_month
    )
{% endtest %}

{#- The month, where its raw rows are not as many as load_log says, or not numbered 1 to that many. -#}
{% test rows_as_logged(model, load_log) %}
    select logged.source_month, logged.rows, counted.*
    from {{ load_log }} as logged
    cross join (
        select count(*) as raw_rows, count(distinct source_row) as numbers, min(source_row) as first, max(source_row) as last
        from {{ model }} where source_month = {{ source_month() }}
    ) as counted
    where logged.table_name = 'raw_trips' and logged.source_month = {{ source_month() }}
        and (counted.raw_rows, counted.numbers, counted.first, counted.last) is distinct from (logged.rows, logged.rows, 1, logged.rows)
{% endtest %}

{#- Raw rows that are not in the model, or the other way round. Silent where the file was loaded anew since. -#}
{% test every_raw_row_is_judged(model, raw) %}
    select source_row, raw.total_amount as raw_amount, judged.total_amount as judged_amount
    from (select * from {{ raw }} where source_month = {{ source_month() }}) as raw
    full join {{ model }} as judged using (source_row)
    where {{ is_current(model) }}
        and (raw.source_month is null or judged.source_month is null or {{ exact('raw.total_amount') }} is distinct from judged.total_amount)
{% endtest %}

{#- The month, where more than `share` (0 to 1) of its rows are rejected. -#}
{% test reject_share_at_most(model, share) %}
    select count(*) as rows, count(rejection_reason) as rejected
    from {{ model }}
    having count(rejection_reason) > {{ share }} * count(*)
{% endtest %}

{#- The months, other than the file's, that its pickups lie in, where these are more than `share` (0 to 1) of its rows. -#}
{% test pickups_outside_month_at_most(model, share) %}
    select source_month, pickup_month, rows, rows_in_file from (
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

{#- Accepted rows whose zone the zones do not have. -#}
{% test zone_resolves(model, column_name, zones) %}
    select trips.source_row, trips.{{ column_name }}
    from {{ model }} as trips
    left join {{ zones }} as zones on zones.zone_id = trips.{{ column_name }}
    where trips.rejection_reason is null and trips.{{ column_name }} is not null and zones.zone_id is null
{% endtest %}

{#- Accepted rows' values in these columns that two decimals do not hold. -#}
{% test whole_cents(model, columns) %}
    {%- set conditions = {} %}
    {%- for each in columns %} {%- do conditions.update({each: each ~ ' <> round(' ~ each ~ ', 2)'}) %} {%- endfor %}
    {{ values_where(model, 'rejection_reason is null', conditions) }}
{% endtest %}

{#-
    The values of the rows to be published that a mart's contract refuses: null, too large or too fine for the column's
    type, against a check, or a key that occurs twice.
    The mart is named, not referred to: Cosmos runs a test in the group of every model it refers to.
-#}
{% test fits_contract(model, mart) %}
    {%- if execute %}
    {%- set contract = mart_named(mart) %}
    {%- set rows = contract.config.meta.rows | default('true') %}
    {{ values_where(model, rows, refused_by(contract)) }}
    {%- for constraint in contract.constraints if constraint.type == 'primary_key' %}
    {%- set key = constraint.columns | join(', ') %}
    union all
    select 'primary key ({{ key }})', concat_ws(', ', {{ key }}), null
    from {{ model }} where {{ rows }} group by {{ key }} having count(*) > 1
    {%- endfor %}
    {%- endif %}
{% endtest %}

{#- Values that occur more than once in these columns together. -#}
{% test unique_together(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as rows
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#-
    The sums, where those of the model are not those of the accepted trips. Silent where the two were made from different
    versions of the file, as when one of them alone was cleared after a newer load: such a slice is not published.
-#}
{% test sums_equal(model, trips) %}
    {%- set version = '(select file_id from ' ~ trips ~ ' limit 1)' %}
    {%- set measures = ['trip_distance', 'fare_amount', 'tip_amount', 'tolls_amount', 'total_amount'] %}
    select to_jsonb(summed) as summed, to_jsonb(expected) as expected
    from (
        select sum(trips)::bigint as trips, sum(reversals)::bigint as reversals {%- for each in measures %}, sum({{ each }}) as {{ each }}{% endfor %}
        from {{ model }}
    ) as summed
    cross join (
        select nullif(count(*), 0) as trips, sum(is_reversal::int) as reversals {%- for each in measures %}, sum({{ each }}) as {{ each }}{% endfor %}
        from {{ trips }} where rejection_reason is null
    ) as expected
    where (summed.*) is distinct from (expected.*)
        and coalesce((select file_id from {{ model }} limit 1), {{ version }}) is not distinct from {{ version }}
{% endtest %}

{#- Months whose counts of rows, or sums of money, do not add up. -#}
{% test counts_add_up(model) %}
    select * from {{ model }}
    where rows_in_file <> rows_accepted + rows_rejected
        or rows_rejected <> rejected_value_missing + rejected_pickup_outside_window
            + rejected_dropoff_before_pickup + rejected_distance_impossible + rejected_amount_impossible
        or total_amount_in_file <> total_amount_accepted + total_amount_rejected
{% endtest %}

{#-
    Published rows that are not in the audited slice, and the other way round, each whole row compared; for a table
    with source_month the requested month only. Silent where the file was loaded anew since.
    The slice is named, not referred to: Cosmos runs a test in the group of every model it refers to.
-#}
{% test published_as_audited(model) %}
    {%- if execute %}
    {%- set meta = mart_named(model.identifier).config.meta %}
    {%- set columns = adapter.get_columns_in_relation(model) | map(attribute='name')
        | reject('in', meta.beside_slice | default([])) | list %}
    {%- set monthly = 'source_month' in columns %}
    {%- set audited_table = require_table(run_schema(), meta.slice) %}
    {%- set published = 'select ' ~ columns | join(', ') ~ ' from ' ~ model ~ (' where source_month = ' ~ source_month() if monthly) %}
    {%- set audited = 'select ' ~ columns | join(', ') ~ ' from ' ~ audited_table ~ ' where ' ~ meta.rows | default('true') %}
    select * from (
        ({{ published }} except all {{ audited }})
        union all
        ({{ audited }} except all {{ published }})
    ) as differing
    where {{ is_current(audited_table, monthly) }}
    {%- endif %}
{% endtest %}
