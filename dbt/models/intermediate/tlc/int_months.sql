with

trips as (

    select
        *,
        case when {{ all_possible(['total_amount']) }} then total_amount end as amount
    from {{ ref('int_trips_judged') }}

),

months as (

    select
        ---------- ids
        {{ source_month() }} as source_month,
        max(file_id) as file_id,

        ---------- counts of rows
        count(*) as rows_in_file,
        count(*) filter (where rejection_reason is null) as rows_accepted,
        count(*) filter (where rejection_reason is not null) as rows_rejected,
        count(*) filter (where rejection_reason = 'value_missing') as rejected_value_missing,
        count(*) filter (where rejection_reason = 'pickup_outside_window') as rejected_pickup_outside_window,
        count(*) filter (where rejection_reason = 'dropoff_before_pickup') as rejected_dropoff_before_pickup,
        count(*) filter (where rejection_reason = 'distance_impossible') as rejected_distance_impossible,
        count(*) filter (where rejection_reason = 'amount_impossible') as rejected_amount_impossible,
        count(*) filter (where is_spillover) as pickups_outside_month,
        count(*) filter (where is_reversal and rejection_reason is null) as reversals,

        ---------- sums of total_amount, of rows where a ride can cost as much; an audit keeps accepted ones at two decimals
        coalesce(sum(amount) filter (where rejection_reason is null), 0) as total_amount_accepted,
        round(coalesce(sum(amount) filter (where rejection_reason is not null), 0), 2) as total_amount_rejected

    from trips

),

summed as (

    select
        *,
        total_amount_accepted + total_amount_rejected as total_amount_in_file

    from months

)

select * from summed
