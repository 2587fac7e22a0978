"""What a month's report asks the published tables. Importable without pandas: the lineage of columns reads it too.

`{fct_months}` stands for a table in the dataset's published schema.
"""

from __future__ import annotations

TABLES = ("fct_months", "fct_zone_days", "fct_trips", "dim_zones", "fct_month_profile")
MONTHS = "select * from {fct_months} where source_month = any(%(months)s)"
PROFILES = "select * from {fct_month_profile} where source_month = any(%(months)s)"
DAYS = """
    select source_month, pickup_date, sum(trips)::bigint as trips
    from {fct_zone_days}
    where source_month = any(%(months)s)
    group by source_month, pickup_date
"""
ZONES = """
    select
        pickup_zone_id as zone_id, coalesce(zone_name, '') as name, coalesce(borough, '') as borough,
        sum(trips)::bigint as trips, sum(total_amount) as total_amount
    from {fct_zone_days}
    left join {dim_zones} on pickup_zone_id = zone_id
    where source_month = %(month)s
    group by pickup_zone_id, zone_name, borough
    order by trips desc, pickup_zone_id
    limit %(top_zones)s
"""
BOROUGHS = """
    select coalesce(borough, '') as borough, pickup_date, sum(trips)::bigint as trips
    from {fct_zone_days}
    left join {dim_zones} on pickup_zone_id = zone_id
    where source_month = %(month)s
    group by 1, pickup_date
"""
# tip_class, of trips paid by card whose fare is positive, else null: 0 for no tip, 1 for up to 5 % of the fare (5 not
# included), 2 for 5 to 10 % and so on by the steps that it is given. A charge that a later row reverses is among these
# trips.
PAYMENTS = """
    select coalesce(payment_type_id::text, '') as payment_type, tip_class, count(*) as trips,
        sum(total_amount) as total_amount, sum(fare_amount) as fare_amount, sum(tip_amount) as tip_amount
    from (
        select *,
            case
                when payment_type_id is distinct from %(card)s or fare_amount <= 0 then null
                when tip_amount <= 0 then 0
                else 1 + width_bucket(100 * tip_amount / fare_amount, %(tip_steps)s::numeric[])
            end as tip_class
        from {fct_trips}
        where source_month = %(month)s
    ) as trips
    group by payment_type_id, tip_class
"""

# By the name that the lineage of columns gives each, after `report_`.
QUERIES = {
    name: query.format_map({table: table for table in TABLES})
    for name, query in (
        ("months", MONTHS),
        ("profile", PROFILES),
        ("days", DAYS),
        ("zones", ZONES),
        ("boroughs", BOROUGHS),
        ("payments", PAYMENTS),
    )
}
