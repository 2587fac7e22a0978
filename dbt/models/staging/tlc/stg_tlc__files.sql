with

source as (

    select * from {{ source('loader', 'load_log') }}
    where source_month = {{ source_month() }} or source_month is null

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
