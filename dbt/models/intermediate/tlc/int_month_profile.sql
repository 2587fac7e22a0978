{#-
    Of a file of more rows, the pickups of every 37th second are looked at, so that 14 million rows take the memory of
    400,000. 37 is prime: whole minutes, at which one feed records all its trips, are drawn as often as other seconds.
    Two records of one ride are drawn together.
-#}
{% set rows_looked_at_whole = 500000 %}
{% set ride = 'pickup_at, dropoff_at, pickup_zone_id, dropoff_zone_id' %}
{% set details = 'passenger_count, rate_code_id, store_and_fwd_flag' %}
{% set parts = [
    'fare_amount', 'extra_amount', 'mta_tax', 'tip_amount', 'tolls_amount', 'ehail_fee', 'improvement_surcharge',
    'congestion_surcharge', 'cbd_congestion_fee', 'airport_fee'
] %}
{% set every_column = (
    [ride, details, 'vendor_id, payment_type_id, trip_type_id, trip_distance, total_amount'] + parts
) | join(', ') %}

{# ---------- shares of all rows, by their condition #}
{% set shares = {
    'reversals_share': 'is_reversal',
    'opposite_signs': 'total_amount * least(fare_amount, tip_amount, tolls_amount) < 0
                    or total_amount * greatest(fare_amount, tip_amount, tolls_amount) < 0',
    'totals_off': 'abs(total_amount - parts) > 0.01',
    'whole_dollar_totals': 'total_amount = trunc(total_amount)',
    'whole_mile_distances': 'trip_distance > 0 and trip_distance = trunc(trip_distance)',
    'tipped': 'tip_amount > 0',
    'tolled': 'tolls_amount > 0',
    'without_duration': 'minutes = 0',
    'zero_miles': 'trip_distance = 0',
    'without_details': 'num_nulls(' ~ details ~ ') = 3',
    'details_apart': 'num_nulls(' ~ details ~ ') in (1, 2)',
    'unknown_codes': "vendor_id not in (1, 2, 4, 5, 6, 7) or rate_code_id not in (1, 2, 3, 4, 5, 6, 99)
                    or payment_type_id not between 0 and 6 or trip_type_id not in (1, 2)
                    or store_and_fwd_flag not in ('Y', 'N')",
} %}

{# ---------- shares of the rows that have a value: the value that is counted, and which rows #}
{% set shares_of_known = {
    'tips_without_card': ('payment_type_id <> 1', 'tip_amount > 0 and payment_type_id <> 0'),
    'paid_by_card': ('payment_type_id = 1', 'payment_type_id <> 0'),
    'one_passenger': ('passenger_count = 1', 'true'),
    'standard_rate': ('rate_code_id = 1', 'true'),
} %}

{# ---------- medians, and of which rows #}
{% set medians = {
    'median_pickup_hour': ('extract(epoch from pickup_at::time)::double precision / 3600', 'true'),
    'median_minutes': ('minutes', 'true'),
    'median_miles': ('miles', 'true'),
    'median_speed': ('miles * 60 / nullif(minutes, 0)', 'miles between 0.5 and 50'),
    'median_fare_a_mile': ('fare / nullif(miles, 0)', 'total_amount > 0 and miles between 0.5 and 50'),
    'median_total_amount': ('total_amount::double precision', 'true'),
} %}

with

file as (

    select rows_in_file <= {{ rows_looked_at_whole }} as is_looked_at_whole
    from {{ ref('stg_tlc__files') }}
    where table_name = 'raw_trips'

),

trips as materialized (

    select
        *,
        coalesce({{ parts | join(', 0) + coalesce(') }}, 0) as parts,
        -- a drop-off may be infinite: no rule refuses it, and a correlation with it is no number
        extract(epoch from nullif(dropoff_at, 'infinity') - pickup_at)::double precision / 60 as minutes,
        trip_distance::double precision as miles,
        fare_amount::double precision as fare
    from {{ ref('int_trips_judged') }}
    where
        rejection_reason is null
        and (
            (select file.is_looked_at_whole from file)
            or extract(epoch from pickup_at)::bigint % 37 = 0
        )

),

groups as (

    select
        pickup_zone_id,
        dropoff_zone_id,
        vendor_id,
        count(*) as trips,
        count(*)::numeric / nullif(sum(count(*)) over (partition by grouping(pickup_zone_id, dropoff_zone_id)), 0)
            as share_of_trips
    from trips
    group by grouping sets ((pickup_zone_id), (dropoff_zone_id), (vendor_id))

),

commonest_vendor as (

    select vendor_id as id from groups
    where vendor_id is not null
    order by trips desc, vendor_id asc
    limit 1

),

trip_figures as (

    select
        ---------- ids
        {{ source_month() }} as source_month,
        max(file_id) as file_id,

        ---------- counts of rows; a number's hash leaves out its sign, and a reversal repeats no row
        count(*) as rows_profiled,
        count(*) - count(distinct hash_record_extended(row({{ every_column }}, is_reversal), 0)) as rows_repeated,
        count(*) - count(distinct hash_record_extended(row({{ ride }}, trip_distance, is_reversal), 0))
            as rides_repeated,

        ---------- shares, 0 to 1
        {%- for name, condition in shares.items() %}
            count(*) filter (where {{ condition }})::numeric / nullif(count(*), 0) as {{ name }},
        {%- endfor %}
        {%- for name, (condition, rows) in shares_of_known.items() %}
            avg(({{ condition }})::integer) filter (where {{ rows }}) as {{ name }},
        {%- endfor %}

        ---------- medians
        {%- for name, (value, rows) in medians.items() %}
            percentile_cont(0.5) within group (order by {{ value }}) filter (where {{ rows }}) as {{ name }},
        {%- endfor %}

        ---------- columns that go together; of logarithms, which no outlier outweighs. One vendor's, as the fares of
        ---------- a small one are flat: with them, green's 2025-11 has 0.42 instead of 0.93
        {%- for name, value in {'fare': 'abs(fare)', 'duration': 'minutes'}.items() %}
            corr(ln(nullif({{ value }}, 0)), ln(miles)) filter (
                where miles between 0.5 and 50 and vendor_id = (select commonest_vendor.id from commonest_vendor)
            ) as {{ name }}_distance_correlation,
        {%- endfor %}
        avg(trip_distance) filter (where pickup_zone_id = dropoff_zone_id) / nullif(avg(trip_distance), 0)
            as same_zone_distance
    from trips

),

-- every day of the month
days as (

    select
        calendar.day_at::date as pickup_date,
        count(trips.pickup_at) as pickups,
        count(trips.passenger_count) as pickups_with_details
    from
        generate_series(
            {{ source_month() }}, {{ source_month() }} + interval '1 month' - interval '1 day', interval '1 day'
        ) as calendar (day_at)
    left join trips on calendar.day_at::date = trips.pickup_at::date
    group by calendar.day_at

),

day_figures as (

    select
        max(pickup_date) filter (where pickups > 0) as last_pickup_date,
        count(*) filter (where pickups = 0) as days_without_pickup,
        count(*) filter (where pickups > 0 and pickups_with_details = 0) as days_without_details,
        -- of days with pickups, as another figure tells of those without
        min(nullif(pickups, 0)) / percentile_cont(0.5) within group (order by nullif(pickups, 0)) as poorest_day,
        max(pickups) / percentile_cont(0.5) within group (order by nullif(pickups, 0)) as richest_day
    from days

),

-- every hour of the day
hours as (

    select
        clock.pickup_hour,
        count(trips.pickup_at) as pickups
    from generate_series(0, 23) as clock (pickup_hour)
    left join trips on clock.pickup_hour = extract(hour from trips.pickup_at)::integer
    group by clock.pickup_hour

),

hour_figures as (

    select
        count(*) filter (where pickups = 0) as hours_without_pickup,
        (array_agg(pickup_hour order by pickups, pickup_hour))[1] as quietest_hour,
        min(pickups) / nullif(sum(pickups), 0) as quietest_hour_share
    from hours

),

group_figures as (

    select
        count(pickup_zone_id) as pickup_zones,
        (array_agg(pickup_zone_id order by trips desc, pickup_zone_id asc) filter (where pickup_zone_id is not null))[1]
            as commonest_pickup_zone,
        max(share_of_trips) filter (where pickup_zone_id is not null) as commonest_pickup_zone_share,
        max(share_of_trips) filter (where dropoff_zone_id is not null) as commonest_dropoff_zone_share,
        max(share_of_trips) filter (where vendor_id is not null) as commonest_vendor_share
    from groups

),

charges as (

    select distinct
        {{ ride }},
        vendor_id
    from trips
    where total_amount > 0

),

reversal_figures as (

    select avg((charges.pickup_at is null)::integer) as unpaired_reversals
    from trips
    left join charges
        on
            trips.vendor_id = charges.vendor_id
            {%- for column in ride.split(', ') %}
                and trips.{{ column }} = charges.{{ column }}
            {%- endfor %}
    where trips.is_reversal

),

figures as (

    select
        trip_figures.*,
        day_figures.*,
        hour_figures.*,
        group_figures.*,
        reversal_figures.*
    from trip_figures
    cross join day_figures
    cross join hour_figures
    cross join group_figures
    cross join reversal_figures

),

profile as (

    select
        ---------- ids
        source_month,
        file_id,
        commonest_pickup_zone,

        ---------- counts
        rows_profiled,
        days_without_pickup::integer as days_without_pickup,
        days_without_details::integer as days_without_details,
        hours_without_pickup::integer as hours_without_pickup,
        pickup_zones::integer as pickup_zones,

        ---------- times
        last_pickup_date,
        quietest_hour,

        ---------- shares, medians, correlations and quotients
        {%- for figure in [
            'poorest_day', 'richest_day', 'quietest_hour_share', 'commonest_pickup_zone_share',
            'commonest_dropoff_zone_share', 'commonest_vendor_share', 'unpaired_reversals',
            'fare_distance_correlation', 'duration_distance_correlation', 'same_zone_distance'
        ] + shares | list + shares_of_known | list + medians | list %}
            round({{ figure }}::numeric, 4) as {{ figure }},
        {%- endfor %}
        round(rows_repeated::numeric / nullif(rows_profiled, 0), 4) as repeated_rows,
        round(rides_repeated::numeric / nullif(rows_profiled, 0), 4) as repeated_rides
    from figures

)

select * from profile
