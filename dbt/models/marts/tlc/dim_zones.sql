with

zones as (

    select * from {{ ref('int_zones') }}

),

published as (

    select
        zone_id,
        borough,
        zone_name,
        service_zone

    from zones

)

select * from published
