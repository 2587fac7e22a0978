-- the month appears here after everything else of it is published
-- depends_on: {{ ref('fct_trips') }}, {{ ref('fct_rejected_trips') }}, {{ ref('fct_zone_days') }}
-- depends_on: {{ ref('fct_month_profile') }}, {{ ref('dim_zones') }}

{% set is_known = made_by_present_code(model) %}

with

months as (

    select * from {{ ref('int_months') }}

),

files as (

    select * from {{ ref('stg_tlc__files') }}

),

before as (

    select * from {{ this }}
    where source_month = {{ source_month() }}

),

figures as (

    select
        ---------- ids
        months.source_month,

        ---------- counts of rows
        months.rows_in_file,
        months.rows_accepted,
        months.rows_rejected,
        months.rejected_value_missing,
        months.rejected_pickup_outside_window,
        months.rejected_dropoff_before_pickup,
        months.rejected_distance_impossible,
        months.rejected_amount_impossible,
        months.pickups_outside_month,
        months.reversals,

        ---------- sums of total_amount
        months.total_amount_in_file,
        months.total_amount_accepted,
        months.total_amount_rejected,

        ---------- text
        files.file_sha256

    from months
    inner join files on months.file_id = files.file_id

),

published as (

    select
        figures.*,
        -- a month published again with the same figures keeps its time
        coalesce(before.published_at, now()) as published_at,
        case when {{ is_known }} then {{ sql_text(code_version()) }} end as code_version,
        case when {{ is_known }} then {{ sql_text(git_revision()) }} end as git_revision

    from figures
    left join before
        on to_jsonb(figures) = to_jsonb(before) - array['published_at', 'code_version', 'git_revision']

)

select * from published
