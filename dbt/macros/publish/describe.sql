{#-
    Post-hook of the mart that is published last, after its commit: brings the published schema to what the project says
    now. These are the order of the tables' columns, and their indexes; the descriptions of tables and columns, as comments;
    the views of all datasets; and the tables of TLC's codes. A hash of all that, and of the columns that the tables have, is
    in a comment too, so it is one query a month until something of it changes. dbt's own persist_docs would write the same
    comments in each task, and those of slices say what the slice holds.
-#}
{%- macro describe_published() -%}
    {%- if not execute or is_dev() -%} {{ return('') }} {%- endif -%}
    {%- set names = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema == target.schema -%}
        {%- do names.append(node.alias) -%}
    {%- endfor -%}
    {%- set found -%}
        select
            coalesce(obj_description(to_regclass('{{ target.schema }}.dim_vendors'), 'pg_class'), '') as noted,
            (
                select string_agg(relname, ' ' order by relname) from pg_class
                where relnamespace = to_regnamespace('{{ target.schema }}') and relkind in ('r', 'p')
            ) as tables,
            (
                select string_agg(concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod)), ', ' order by attrelid, attnum)
                from pg_attribute join pg_class on pg_class.oid = attrelid
                where relnamespace = to_regnamespace('{{ target.schema }}') and relname in ('{{ names | join("', '") }}')
                    and attnum > 0 and not attisdropped
            ) as columns
    {%- endset -%}
    {%- set state = run_query(found).rows[0] -%}
    {%- set there = (state.tables or '').split(' ') -%}
    {%- set comments, indexes, views, tables = [], [], [], [] -%}
    {%- for node in graph.nodes.values() | sort(attribute='name')
        if node.resource_type == 'model' and node.schema == target.schema and node.alias in there -%}
        {%- do tables.append(node) -%}
        {%- do comments.append(comments_of(node, target.schema ~ '.' ~ node.alias)) -%}
        {%- do indexes.append(indexes_of(node, target.schema, node.alias)) -%}
        {%- if node.config.meta.view_of_all_datasets -%} {%- do views.append(node) -%} {%- endif -%}
    {%- endfor -%}
    {%- set codes = tables_of_codes(target.schema) -%}
    {%- set declared = views | map(attribute='columns') | map('list') | join -%}
    {%- set wanted = comments | join ~ indexes | join ~ codes ~ declared ~ state.columns -%}
    {%- set hash = local_md5(wanted) -%}
    {%- if hash not in state.noted -%}
        {%- set left = [] -%}
        {%- for node in tables if not put_columns_in_order(node) -%} {%- do left.append(node.name) -%} {%- endfor -%}
        {%- do run_query(advisory_lock('indexes') ~ ';' ~ indexes | join ~ 'commit') -%}
        {%- for node in views -%} {%- do create_view_of_all_datasets(node) -%} {%- endfor -%}
        {%- do run_query(
            advisory_lock('create') ~ ';' ~ comments | join ~ codes ~ "comment on table " ~ target.schema
            ~ ".dim_vendors is 'What TLC''s codes in vendor_id mean, in its data dictionary''s words. Descriptions of "
            ~ (hash if not left else 'an earlier version') ~ "'; commit"
        ) -%}
    {%- endif -%}
{%- endmacro -%}

{#-
    SQL: the indexes that the model's configuration names, where the table has none of that name. Postgres makes them in
    every month's partition. Publications wait meanwhile, and readers do not. dbt's own statement for an index is not
    used: it gives the index another name each time.
-#}
{%- macro indexes_of(node, schema, table) -%}
    {%- for index in node.config.get('indexes') or [] %}
    {%- set name = table ~ '_' ~ index.columns | join('_') %}
    do $$ begin
        if to_regclass('{{ schema }}.{{ name }}') is null then
            create index {{ name }} on {{ schema }}.{{ table }} ({{ index.columns | join(', ') }});
        end if;
    end $$;
    {%- endfor -%}
{%- endmacro -%}

{#- SQL: the descriptions of the table and of its columns, as comments. A column that the table lacks is left out. -#}
{%- macro comments_of(node, table) -%}
    do $$
    declare
        descriptions constant json := {{ literal(tojson(descriptions_of(node))) }};
        described record;
    begin
        execute format('comment on table {{ table }} is %L', {{ literal(node.description) }});
        for described in
            select attname, value from json_each_text(descriptions) join pg_attribute on attname = key
            where attrelid = '{{ table }}'::regclass and not attisdropped order by attnum
        loop
            execute format('comment on column {{ table }}.%I is %L', described.attname, described.value);
        end loop;
    end $$;
{%- endmacro -%}

{%- macro descriptions_of(node) -%}
    {%- set descriptions = {} -%}
    {%- for column in node.columns.values() -%} {%- do descriptions.update({column.name: column.description}) -%} {%- endfor -%}
    {{ return(descriptions) }}
{%- endmacro -%}

{#- SQL: the text as a literal, in one line. It may stand in a block that is quoted by two dollars. -#}
{%- macro literal(text) -%}
    '{{ text | replace("'", "''") | replace('$$', '$ $') | replace('\n', ' ') | trim }}'
{%- endmacro -%}
