with

zone_days as (

    select * from {{ ref('int_zone_days') }}

),

published as (

    select
        ---------- ids
        source_month,
        pickup_date,
        pickup_zone_id,

        ---------- numerics
        trips,
        reversals,
        trip_distance,
        fare_amount,
        tip_amount,
        tolls_amount,
        total_amount

    from zone_days

)

select * from published
