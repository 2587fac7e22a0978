{% set numbers = ['trip_distance', 'fare_amount', 'tip_amount', 'tolls_amount', 'total_amount'] %}
{% set amounts = [
    'fare_amount', 'extra_amount', 'mta_tax', 'tip_amount', 'tolls_amount', 'ehail_fee', 'improvement_surcharge',
    'congestion_surcharge', 'cbd_congestion_fee', 'airport_fee', 'total_amount'
] %}

with

trips as (

    select * from {{ ref('stg_tlc__trips') }}

),

-- the same statement reads the rows and the file they belong to: both change in one transaction
file as (

    select file_id from {{ ref('stg_tlc__files') }}
    where table_name = 'raw_trips'

),

identified as (

    select
        trips.*,
        file.file_id
    from trips
    cross join file

),

judged as (

    select
        *,

        ---------- the first rule that applies names the rejection; its column's description has the counts
        case
            -- a time, zone or amount that every trip needs is null, or a number is not finite
            when
                num_nulls(pickup_at, dropoff_at, pickup_zone_id, dropoff_zone_id, {{ numbers | join(', ') }}) > 0
                or greatest(abs({{ numbers | join('), abs(') }})) >= 'infinity' -- NaN sorts above it
                then 'value_missing'
            -- clocks that were never set, 2008 and 2009 most often
            when
                pickup_at < source_month - interval '1 month'
                or pickup_at >= source_month + interval '2 months'
                then 'pickup_outside_window'
            when dropoff_at < pickup_at then 'dropoff_before_pickup'
            -- miles; none of real files is negative
            when trip_distance not between 0 and {{ var('longest_trip_miles') }} then 'distance_impossible'
            -- dollars, whatever the sign
            when not {{ all_possible(amounts) }} then 'amount_impossible'
        end as rejection_reason,

        ---------- flags
        pickup_at not between source_month and source_month + interval '1 month' - interval '1 microsecond'
            as is_spillover,
        total_amount < 0 as is_reversal

    from identified

)

select * from judged
