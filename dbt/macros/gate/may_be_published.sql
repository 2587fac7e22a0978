{#-
    Whether the published table may be replaced from the slice of this name; false where the month's file was loaded
    anew since the slice was made.

    Fails where the slice has another number of rows than when it was made, where the file has another number of rows
    than were judged, where an audit has not passed on the present content of what the table derives from, or where a
    column of the table has another type than the contract says.
-#}
{%- macro may_be_published(table, slice_name, monthly) -%}
    {%- set slice = ref(slice_name).include(database=false) -%}
    {%- set whole = whole_file_beside(slice, model) -%}
    {%- set audits = audits_before(model) -%}
    {%- set facts -%}
        select
            (select count(*) from {{ slice }}) as rows_now,
            split_part(obj_description('{{ slice }}'::regclass, 'pg_class'), ' ', 1)::bigint as rows_when_made,
            (select rows from {{ load_log() }} where source_month = {{ source_month() }}) as rows_loaded,
            (select count(*) from {{ whole }}) as rows_judged,
            {{ is_current(whole) }} and {{ is_current(slice, whole if monthly) }} as is_current,
            {{ audits_not_passed(audits) }} as audits_not_passed,
            {{ told_of_acceptances(audits) }} as acceptances,
            ({{ columns_to_alter(table, model) }}) as columns_to_alter
    {%- endset -%}
    {%- set found = run_query(facts).rows[0] -%}

    {%- if not found.rows_loaded -%}
        {{ refuse_publication(table, 'load_log has no file of ' ~ month_start()[:7] ~ '. ' ~ whole_month_again()) }}
    {%- elif found.rows_when_made is none -%}
        {{ refuse_publication(
            table, 'what ' ~ slice ~ ' held when it was made is not known. ' ~ whole_month_again()
        ) }}
    {%- elif found.rows_now != found.rows_when_made -%}
        {{ refuse_publication(
            table, slice ~ ' has ' ~ found.rows_now ~ ' rows, and was made with ' ~ found.rows_when_made ~ '. '
            ~ whole_month_again()
        ) }}
    {%- elif not found.is_current -%}
        {{ log(
            table.identifier ~ ' left as it was: ' ~ slice ~ ' was made from a file that has been loaded anew since. '
            ~ 'The run of that load publishes; to publish from this run, clear all of it.', info=True
        ) }}
    {%- elif found.rows_judged != found.rows_loaded -%}
        {{ refuse_publication(
            table, whole ~ ' has ' ~ found.rows_judged ~ ' rows, and the file of the month has ' ~ found.rows_loaded
            ~ '. ' ~ whole_month_again()
        ) }}
    {%- elif found.audits_not_passed is not none -%}
        {{ refuse_publication(
            table, 'not every audit of the rows to be published has passed (' ~ found.audits_not_passed ~ '). '
            ~ 'Clear these audits, or the model that was built last, with downstream '
            ~ '(with plain dbt: dbt build, not run).'
        ) }}
    {%- elif found.columns_to_alter is not none -%}
        {{ refuse_publication(
            table, found.columns_to_alter ~ '. Alter the table (docs/how-to/change-a-columns-type.md), then clear this task.'
        ) }}
    {%- endif -%}
    {%- if found.is_current and found.acceptances -%} {{ log(found.acceptances, info=True) }} {%- endif -%}
    {{ return(found.is_current) }}
{%- endmacro -%}

{%- macro refuse_publication(table, why) -%}
    {{ exceptions.raise_compiler_error(table.identifier ~ ' stays as it was: ' ~ why) }}
{%- endmacro -%}
