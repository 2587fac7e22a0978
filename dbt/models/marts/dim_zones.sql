-- every audit of the month passes before any of it is visible
-- depends_on: {{ ref('int_trips_judged') }}, {{ ref('int_zone_days') }}, {{ ref('int_months') }}, {{ ref('int_zones') }}

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
