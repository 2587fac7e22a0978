-- The fewest statements that make a month's published tables of its raw rows, with their keys and index, and no audit.
create schema floor;

create table floor.fct_trips as
select
    source_month,
    source_row,
    vendorid as vendor_id,
    ratecodeid as rate_code_id,
    pulocationid as pickup_zone_id,
    dolocationid as dropoff_zone_id,
    payment_type as payment_type_id,
    null::integer as trip_type_id,
    tpep_pickup_datetime as pickup_at,
    tpep_dropoff_datetime as dropoff_at,
    store_and_fwd_flag,
    passenger_count,
    trip_distance::numeric(12, 2),
    fare_amount::numeric(12, 2),
    extra::numeric(12, 2) as extra_amount,
    mta_tax::numeric(12, 2),
    tip_amount::numeric(12, 2),
    tolls_amount::numeric(12, 2),
    null::numeric(12, 2) as ehail_fee,
    improvement_surcharge::numeric(12, 2),
    congestion_surcharge::numeric(12, 2),
    cbd_congestion_fee::numeric(12, 2),
    airport_fee::numeric(12, 2),
    total_amount::numeric(12, 2),
    tpep_pickup_datetime not between source_month and source_month + interval '1 month' - interval '1 microsecond'
        as is_spillover,
    total_amount < 0 as is_reversal
from airflow_default_yellow.raw_trips
where source_month = '2024-01-01'
    and tpep_pickup_datetime >= source_month - interval '1 month'
    and tpep_pickup_datetime < source_month + interval '2 months'
    and tpep_dropoff_datetime >= tpep_pickup_datetime
    and trip_distance between 0 and 200
    and pulocationid is not null and dolocationid is not null
    and abs(fare_amount) < 100000 and abs(tip_amount) < 100000 and abs(tolls_amount) < 100000
    and abs(total_amount) < 100000;
alter table floor.fct_trips add primary key (source_month, source_row);
create index on floor.fct_trips (pickup_zone_id, pickup_at);

create table floor.fct_rejected_trips as
select * from airflow_default_yellow.raw_trips as raw
where source_month = '2024-01-01'
    and not exists (select from floor.fct_trips where fct_trips.source_month = raw.source_month and fct_trips.source_row = raw.source_row);
alter table floor.fct_rejected_trips add primary key (source_month, source_row);

create table floor.fct_zone_days as
select
    source_month,
    pickup_at::date as pickup_date,
    pickup_zone_id,
    count(*) as trips,
    count(*) filter (where is_reversal) as reversals,
    sum(trip_distance) as trip_distance,
    sum(fare_amount) as fare_amount,
    sum(tip_amount) as tip_amount,
    sum(tolls_amount) as tolls_amount,
    sum(total_amount) as total_amount
from floor.fct_trips
group by source_month, pickup_date, pickup_zone_id;
alter table floor.fct_zone_days add primary key (pickup_zone_id, pickup_date, source_month);

create table floor.fct_months as
select
    source_month,
    count(*) as rows_accepted,
    (select count(*) from floor.fct_rejected_trips) as rows_rejected,
    count(*) filter (where is_spillover) as pickups_outside_month,
    count(*) filter (where is_reversal) as reversals,
    sum(total_amount) as total_amount_accepted
from floor.fct_trips
group by source_month;

create table floor.dim_zones as
select * from airflow_default_yellow.raw_zones;
alter table floor.dim_zones add primary key (locationid);
