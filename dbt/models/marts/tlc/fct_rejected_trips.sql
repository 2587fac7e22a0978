with

trips as (

    select * from {{ ref('int_trips_judged') }}

),

rejected as (

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
        rejection_reason,

        ---------- numerics
        passenger_count,
        trip_distance::double precision as trip_distance,
        fare_amount::double precision as fare_amount,
        extra_amount::double precision as extra_amount,
        mta_tax::double precision as mta_tax,
        tip_amount::double precision as tip_amount,
        tolls_amount::double precision as tolls_amount,
        ehail_fee::double precision as ehail_fee,
        improvement_surcharge::double precision as improvement_surcharge,
        congestion_surcharge::double precision as congestion_surcharge,
        cbd_congestion_fee::double precision as cbd_congestion_fee,
        airport_fee::double precision as airport_fee,
        total_amount::double precision as total_amount

    from trips
    where rejection_reason is not null

)

select * from rejected
