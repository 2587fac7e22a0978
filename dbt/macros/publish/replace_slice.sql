{#-
    Incremental strategy: the requested month's rows of a published table become exactly the rows of the model, in one
    transaction. (A table without source_month is replaced whole.) The delete goes by the month, not by the keys of the
    new rows: a month that comes back empty must empty the table.

    Rows are replaced only if every audit of the slices they derive from has passed on exactly these slices, if no row
    of the file is missing, and if the slice they come from was made of the file version that the raw table holds now. A
    slice overtaken by a newer load is left alone: the run that loaded it publishes.
-#}
{%- macro get_incremental_replace_slice_sql(arg_dict) -%}
    {%- set table = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set monthly = 'source_month' in arg_dict['dest_columns'] | map(attribute='name') -%}

    {%- if flags.EMPTY or (reads_deferred_tables() and not is_dev()) -%}
        {{ exceptions.raise_compiler_error(
            table.identifier ~ ' is published from the audited tables of ' ~ run_schema() ~ ' and from nothing else: '
            ~ 'leave out --empty, --defer and --favor-state.'
        ) }}
    {%- endif -%}
    {%- do run_query(advisory_lock(table.identifier ~ ('/' ~ month_start() if monthly else ''))) -%}
    {%- if not may_be_published(table, config.require('meta').slice, monthly) -%} {{ return('select 1') }} {%- endif -%}

    {%- set new_rows = 'select ' ~ columns ~ ' from ' ~ arg_dict['temp_relation'] -%}
    {%- if monthly and not has_partition(table) -%}
        {{ return(new_partition(table, columns, new_rows)) }}
    {%- endif -%}
    {%- set of_month = 'where source_month = ' ~ source_month() if monthly else '' -%}
    {%- if holds_the_same('select ' ~ columns ~ ' from ' ~ table ~ ' ' ~ of_month, new_rows, arg_dict['dest_columns']) -%}
        {{ log(table.identifier ~ ' holds exactly these rows already.', info=True) }} {{ return('select 1') }}
    {%- endif -%}

    delete from {{ table }} {{ of_month }};
    {#- into the month's partition: it refuses a row of another month -#}
    insert into {{ partition_of(table) if monthly else table }} ({{ columns }}) {{ new_rows }};
{%- endmacro -%}

{#-
    Whether two queries, which have these columns, answer the same rows, in any order, by their number and the sum of
    64-bit hashes of each.
-#}
{%- macro holds_the_same(one, other, columns) -%}
    {%- set content = '(count(*), sum(' ~ hash_of_row('each', columns) ~ '))::text' -%}
    {%- set comparison -%}
        select
            (select {{ content }} from ({{ one }}) as each)
            = (select {{ content }} from ({{ other }}) as each) as is_same
    {%- endset -%}
    {{ return(run_query(comparison).rows[0].is_same) }}
{%- endmacro -%}
