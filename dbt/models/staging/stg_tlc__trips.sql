with

source as (

    select * from {{ source('tlc', 'raw_trips') }}
    where source_month = {{ source_month() }}

),

renamed as (

    select
        ---------- ids
        source_month,
        source_row,
        vendorid as vendor_id,
        ratecodeid as rate_code_id,
        pulocationid as pickup_zone_id,
        dolocationid as dropoff_zone_id,
        payment_type as payment_type_id,
        trip_type as trip_type_id,

        ---------- timestamps, New York wall clock
        lpep_pickup_datetime as pickup_at,
        lpep_dropoff_datetime as dropoff_at,

        ---------- text
        store_and_fwd_flag,

        ---------- numerics: exact, so that sums do not depend on the order of rows
        passenger_count,
        trip_distance::numeric as trip_distance,
        fare_amount::numeric as fare_amount,
        extra::numeric as extra_amount,
        mta_tax::numeric as mta_tax,
        tip_amount::numeric as tip_amount,
        tolls_amount::numeric as tolls_amount,
        ehail_fee::numeric as ehail_fee,
        improvement_surcharge::numeric as improvement_surcharge,
        congestion_surcharge::numeric as congestion_surcharge,
        cbd_congestion_fee::numeric as cbd_congestion_fee,
        total_amount::numeric as total_amount

    from source

)

select * from renamed
