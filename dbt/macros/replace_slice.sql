{#-
    Incremental strategy: the requested month's rows of a published table become exactly the rows of the model, in
    one transaction. (A table without source_month is replaced whole.) The delete goes by the month, not by the
    keys of the new rows: a month that comes back empty must empty the table.

    Rows are replaced only if every data test of the slices they derive from has passed on exactly these slices, if no
    row of the file is missing, and if the slice they come from was made of the file version that the raw table holds
    now. A slice overtaken by a newer load is left alone: the run that loaded it publishes.
-#}
{%- macro get_incremental_replace_slice_sql(arg_dict) -%}
    {%- set table = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set monthly = 'source_month' in arg_dict['dest_columns'] | map(attribute='name') -%}

    {%- if flags.EMPTY or (reads_deferred_tables() and not is_dev()) -%}
        {{ exceptions.raise_compiler_error(
            table.identifier ~ ' is published from the audited tables of ' ~ run_schema() ~ ' and from nothing else: leave '
            ~ 'out --empty, --defer and --favor-state.'
        ) }}
    {%- endif -%}
    {%- do run_query(advisory_lock(table.identifier ~ ('/' ~ month_start() if monthly else ''))) -%}
    {%- if not may_be_published(table, config.require('meta').slice, monthly) -%} {{ return('select 1') }} {%- endif -%}

    {%- set new_rows = 'select ' ~ columns ~ ' from ' ~ arg_dict['temp_relation'] -%}
    {%- if monthly and run_query("select to_regclass('" ~ partition_of(table) ~ "')").rows[0][0] is none -%}
        {{ return(new_partition(table, columns, new_rows)) }}
    {%- endif -%}
    {%- set of_month = 'where source_month = ' ~ source_month() if monthly else '' -%}
    {%- if holds_the_same('select ' ~ columns ~ ' from ' ~ table ~ ' ' ~ of_month, new_rows) -%}
        {{ log(table.identifier ~ ' holds exactly these rows already.', info=True) }} {{ return('select 1') }}
    {%- endif -%}

    delete from {{ table }} {{ of_month }};
    {#- into the month's partition: it refuses a row of another month -#}
    insert into {{ partition_of(table) if monthly else table }} ({{ columns }}) {{ new_rows }};
{%- endmacro -%}

{#-
    SQL: the month's first publication, in the schema <published>_partitions. Filled first and indexed then, which takes
    half the time, and attached last: `create table … partition of` locks out every reader of the table. The check spares
    attaching a scan, during which no other month could be attached.
-#}
{%- macro new_partition(table, columns, new_rows) -%}
    {%- set partition = partition_of(table) -%}
    create table {{ partition }} (
        like {{ table }} including all excluding indexes,
        constraint of_the_month check (source_month = {{ source_month() }})
    );
    insert into {{ partition }} ({{ columns }}) {{ new_rows }};
    {%- for constraint in model.constraints if constraint.type == 'primary_key' %}
    alter table {{ partition }} add primary key ({{ constraint.columns | join(', ') }});
    {%- endfor %}
    {%- for index in model.config.get('indexes') or [] %}
    create index on {{ partition }} ({{ index.columns | join(', ') }});
    {%- endfor %}
    alter table {{ table }} attach partition {{ partition }} for values in ({{ source_month() }});
    alter table {{ partition }} drop constraint of_the_month;
{%- endmacro -%}

{#- Whether two queries answer the same rows, in any order, by their number and the sum of 64-bit hashes of each. -#}
{%- macro holds_the_same(one, other) -%}
    {%- set sums = [] -%}
    {%- for query in [one, other] -%}
        {%- do sums.append('(select (count(*), sum(hash_record_extended(each, 0)))::text from (' ~ query ~ ') as each)') -%}
    {%- endfor -%}
    {{ return(run_query('select ' ~ sums | join(' = ')).rows[0][0]) }}
{%- endmacro -%}

{#-
    dbt's own; but the rows that a published table is to have are a temporary view, not a table: they are not written twice.
    A model that reads its own table needs them as they were before any is deleted.
-#}
{%- macro postgres__get_create_table_as_sql(temporary, relation, sql) -%}
    {%- if not temporary or config.get('incremental_strategy') != 'replace_slice' or this.identifier ~ '"' in sql -%}
        {{ return(create_table_as(temporary, relation, sql)) }}
    {%- endif -%}
    {%- do get_assert_columns_equivalent(sql) -%}
    create temporary view {{ relation }} as ({{ sql }})
{%- endmacro -%}

{#-
    Whether the table may be replaced from the slice; false where the run was overtaken by a newer load. Fails where the
    slice has another number of rows than it was made with, the judged trips are not as many as the load logged, or an audit
    has not passed on the present content of what the table derives from.
-#}
{%- macro may_be_published(table, name, monthly) -%}
    {%- set slice = ref(name).include(database=false) -%}
    {%- set whole = whole_file_beside(slice, model) -%}
    {%- set found = run_query('select ' ~ [
        '(select count(*) from ' ~ slice ~ ')',
        "split_part(obj_description('" ~ slice ~ "'::regclass, 'pg_class'), ' ', 1)::bigint",
        '(select rows from ' ~ load_log() ~ ' where source_month = ' ~ source_month() ~ ')',
        '(select count(*) from ' ~ whole ~ ')',
        is_current(whole) ~ ' and ' ~ is_current(slice, whole if monthly),
        audits_not_passed(model),
    ] | join(', ')).rows[0] -%}
    {%- set rows, made_with, loaded, judged, current, not_passed = found.values() -%}
    {%- set stays = table.identifier ~ ' stays as it was: ' -%}
    {%- set again = "Clear the whole month, from load_month on (with plain dbt: dbt build --vars '{ds: " ~ month_start() ~ "}')." -%}
    {%- if not loaded -%}
        {{ exceptions.raise_compiler_error(stays ~ 'load_log has no file of ' ~ month_start()[:7] ~ '. ' ~ again) }}
    {%- elif made_with is none -%}
        {{ exceptions.raise_compiler_error(stays ~ 'what ' ~ slice ~ ' held when it was made is not known. ' ~ again) }}
    {%- elif rows != made_with -%}
        {{ exceptions.raise_compiler_error(stays ~ slice ~ ' has ' ~ rows ~ ' rows, and was made with ' ~ made_with ~ '. ' ~ again) }}
    {%- elif not current -%}
        {{ log(
            table.identifier ~ ' left as it was: ' ~ slice ~ ' was made from a file that has been loaded anew since. '
            ~ 'The run of that load publishes; to publish from this run, clear all of it.', info=True
        ) }}
    {%- elif judged != loaded -%}
        {{ exceptions.raise_compiler_error(
            stays ~ whole ~ ' has ' ~ judged ~ ' rows, and the file of the month has ' ~ loaded ~ '. ' ~ again
        ) }}
    {%- elif not_passed is not none -%}
        {{ exceptions.raise_compiler_error(
            stays ~ 'not every audit of the rows to be published has passed (' ~ not_passed ~ '). Clear these audits, or the '
            ~ 'model that was built last, with downstream (with plain dbt: dbt build, not run).'
        ) }}
    {%- endif -%}
    {{ return(current) }}
{%- endmacro -%}

{#-
    SQL condition: the slice was made of a file version that its raw table holds now. Every slice carries the file_id of
    the load it was made from. A month's slice without rows counts as made from the same file as `whole`. If that has no
    rows either, the condition is true: the publication then fails, as `whole` has fewer rows than the file.
-#}
{%- macro is_current(slice, whole=none) -%}
    coalesce(
        coalesce(
            (select file_id from {{ slice }} limit 1)
            {%- if whole %}, (select file_id from {{ whole }} limit 1) {%- endif %}
        ) in (select file_id from {{ load_log() }}),
        true
    )
{%- endmacro -%}

{#-
    The slice with a row for each row of the month's file: by the mart's configuration, else this slice itself.
-#}
{%- macro whole_file_beside(slice, mart) -%}
    {%- if not mart.config.meta.whole_file -%} {{ return(slice) }} {%- endif -%}
    {%- set whole = model_named(mart.config.meta.whole_file) -%}
    {{ return(slice.incorporate(path={'schema': schema_read(whole), 'identifier': whole.alias})) }}
{%- endmacro -%}
