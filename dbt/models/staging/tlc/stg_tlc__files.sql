with

source as (

    select * from {{ source('tlc', 'load_log') }}
    where source_month = {{ source_month() }} or table_name = 'raw_zones'

),

renamed as (

    select
        ---------- ids
        file_id,

        ---------- text
        table_name,
        url,
        sha256 as file_sha256,

        ---------- numerics
        rows as rows_in_file,

        ---------- dates
        source_month,
        loaded_at

    from source

)

select * from renamed
