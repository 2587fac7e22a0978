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
        {{ exact('trip_distance') }} as trip_distance,
        {{ exact('fare_amount') }} as fare_amount,
        {{ exact('extra') }} as extra_amount,
        {{ exact('mta_tax') }} as mta_tax,
        {{ exact('tip_amount') }} as tip_amount,
        {{ exact('tolls_amount') }} as tolls_amount,
        {{ exact('ehail_fee') }} as ehail_fee,
        {{ exact('improvement_surcharge') }} as improvement_surcharge,
        {{ exact('congestion_surcharge') }} as congestion_surcharge,
        {{ exact('cbd_congestion_fee') }} as cbd_congestion_fee,
        {{ exact('total_amount') }} as total_amount

    from source

)

select * from renamed
