with

trips as (

    select * from {{ ref('int_trips_judged') }}
    where rejection_reason is null

),

zone_days as (

    select
        ---------- ids
        source_month,
        pickup_at::date as pickup_date,
        pickup_zone_id,
        max(file_id) as file_id,

        ---------- numerics
        count(*) as trips,
        count(*) filter (where is_reversal) as reversals,
        sum(trip_distance) as trip_distance,
        sum(fare_amount) as fare_amount,
        sum(tip_amount) as tip_amount,
        sum(tolls_amount) as tolls_amount,
        sum(total_amount) as total_amount

    from trips
    group by source_month, pickup_date, pickup_zone_id

)

select * from zone_days
