with

source as (

    select * from {{ source('tlc', 'raw_zones') }}

),

renamed as (

    select
        ---------- ids
        locationid as zone_id,

        ---------- text
        borough,
        zone as zone_name,
        service_zone

    from source

)

select * from renamed
