with

zones as (

    select * from {{ ref('stg_tlc__zones') }}

),

-- the same statement reads the zones and the file they belong to: both change in one transaction
file as (

    select file_id from {{ ref('stg_tlc__files') }}
    where table_name = 'raw_zones'

),

identified as (

    select
        zones.*,
        file.file_id

    from zones
    cross join file

)

select * from identified
