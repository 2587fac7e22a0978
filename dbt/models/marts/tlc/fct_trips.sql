with

trips as (

    select * from {{ ref('int_trips_judged') }}

),

accepted as (

    select
        ---------- ids
        source_month,
        source_row,
        vendor_id,
        rate_code_id,
        pickup_zone_id,
        dropoff_zone_id,
        payment_type_id,
        trip_type_id,

        ---------- timestamps, New York wall clock
        pickup_at,
        dropoff_at,

        ---------- text
        store_and_fwd_flag,

        ---------- numerics
        passenger_count,
        trip_distance,
        fare_amount,
        extra_amount,
        mta_tax,
        tip_amount,
        tolls_amount,
        ehail_fee,
        improvement_surcharge,
        congestion_surcharge,
        cbd_congestion_fee,
        airport_fee,
        total_amount,

        ---------- flags
        is_spillover,
        is_reversal

    from trips
    where rejection_reason is null

)

select * from accepted
