{#-
    The published tables this invocation writes, made ready before dbt looks at them: dbt would create a missing
    incremental table from the first month's rows, and two months that do so at once fail (6 of 12 in a trial).
-#}
{%- macro create_published_tables() -%}
    {%- if not execute -%} {{ return('') }} {%- endif -%}
    {%- for id in selected_resources if id.startswith('model.') and graph.nodes[id].schema == target.schema -%}
        {%- set node = graph.nodes[id] -%}
        {%- set table = api.Relation.create(
            database=node.database, schema=node.schema, identifier=node.alias, type='table'
        ) -%}
        {%- if is_dev() and invocation_args_dict.full_refresh -%}
            {%- do run_query('drop table if exists ' ~ table ~ ' cascade; commit') -%}
            {%- do adapter.cache_dropped(table) -%}
        {%- endif -%}
        {%- set is_new = adapter.get_relation(table.database, table.schema, table.identifier) is none -%}
        {%- if is_new -%}
            {%- do run_query(new_published_table(node, table)) -%}
            {%- do adapter.cache_added(table) -%}
        {%- endif -%}
        {%- if 'source_month' in node.columns and is_published_without_partition(table) -%}
            {%- do run_query(empty_partition(node, table)) -%}
        {%- endif -%}
        {%- if node.config.meta.view_of_all_datasets and (is_new or lacks_view_of_all_datasets(node, table)) -%}
            {%- do create_view_of_all_datasets(node) -%}
        {%- endif -%}
        {%- if node.config.meta.logged and not is_dev() -%}
            {%- if adapter.get_relation(table.database, table.schema, 'publication_log') is none -%}
                {%- do run_query(new_publication_log(node, table)) -%}
            {%- else -%}
                {%- do add_columns_to_publication_log(node) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}

{#-
    SQL: creates the table, unless another session has done so meanwhile. Columns, types and constraints come from the
    model's contract, indexes from its configuration.
-#}
{%- macro new_published_table(node, table) -%}
    {%- set columns = adapter.render_raw_columns_constraints(raw_columns=node.columns) -%}
    {%- set constraints = adapter.render_raw_model_constraints(raw_constraints=node.constraints) -%}
    {{ advisory_lock('create') }};
    create schema if not exists {{ partitions_schema() }};
    create table if not exists {{ table }} ({{ (columns + constraints) | join(', ') }})
        {{- ' partition by list (source_month)' if 'source_month' in node.columns }};
    {{ replica_identity(node, table) }}
    {{ indexes_of(node, table.schema, table.identifier) }}
    {{ comments_of(node, table) }}
    commit
{%- endmacro -%}
