{#- The schema's name says which dataset it is. What only one of the two has is null in the other. -#}
{% set is_yellow = target.schema.endswith('_yellow') %}

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
        {{ 'null::integer' if is_yellow else 'trip_type' }} as trip_type_id,

        ---------- timestamps, New York wall clock
        {{ 'tpep_pickup_datetime' if is_yellow else 'lpep_pickup_datetime' }} as pickup_at,
        {{ 'tpep_dropoff_datetime' if is_yellow else 'lpep_dropoff_datetime' }} as dropoff_at,

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
        {{ 'null::numeric' if is_yellow else exact('ehail_fee') }} as ehail_fee,
        {{ exact('improvement_surcharge') }} as improvement_surcharge,
        {{ exact('congestion_surcharge') }} as congestion_surcharge,
        {{ exact('cbd_congestion_fee') }} as cbd_congestion_fee,
        {{ exact('airport_fee') if is_yellow else 'null::numeric' }} as airport_fee,
        {{ exact('total_amount') }} as total_amount

    from source

)

select * from renamed
