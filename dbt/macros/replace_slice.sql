{#-
    Incremental strategy: the requested month's rows of a published table become exactly the rows of the model, in
    one transaction. (A table without source_month is replaced whole.) The delete goes by the month, not by the
    keys of the new rows: a month that comes back empty must empty the table.

    Rows are replaced only if the slice they come from was made of the file version that the raw table holds now.
    A slice overtaken by a newer load is left alone: the run that loaded it publishes.
-#}
{%- macro get_incremental_replace_slice_sql(arg_dict) -%}
    {%- set table = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set monthly = 'source_month' in arg_dict['dest_columns'] | map(attribute='name') -%}

    {%- do run_query(advisory_lock(table.identifier ~ ('/' ~ month_start() if monthly else ''))) -%}
    {%- set slice = ref(config.require('meta').slice) -%}
    {%- if not run_query('select ' ~ is_current(slice, monthly)).rows[0][0] -%}
        {{ log(
            table.identifier ~ ' left as it was: ' ~ slice ~ ' was made from a file that has been loaded anew since. '
            ~ 'The run of that load publishes; to publish from this run, clear all of it.', info=True
        ) }}
        {{ return('select 1') }}
    {%- endif -%}

    delete from {{ table }} {% if monthly %}where source_month = {{ source_month() }}{% endif %};
    insert into {{ table }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{%- endmacro -%}

{#-
    SQL condition: was this slice made of the file version that its raw table holds now? Every slice carries the
    file_id of the load it was made from. A slice without rows is as current as the judged trips it derives from.
-#}
{%- macro is_current(slice, monthly=true) -%}
    coalesce(
        (select file_id from {{ slice }} limit 1)
        {%- if monthly %}, (select file_id from {{ slice.incorporate(path={'identifier': 'int_trips_judged'}) }} limit 1){% endif %}
    ) is not distinct from (
        select file_id from {{ target.schema }}.load_log
        where {{ "table_name = 'raw_trips' and source_month = " ~ source_month() if monthly else "table_name = 'raw_zones'" }}
    )
{%- endmacro -%}
