{#-
    A view of the table in every dataset that has it, with the dataset's name beside it, in the schema of the first dataset.
    Made anew when a dataset gets the table. It asks no table for more months than are asked of it: each is partitioned by
    source_month.
-#}
{%- macro create_view_of_all_datasets(node) -%}
    {%- set datasets = graph.nodes['model.' ~ project_name ~ '.stg_tlc__trips'].config.meta.datasets -%}
    {%- set own = [''] -%}
    {%- for suffix in datasets.values() if suffix and target.schema.endswith(suffix) -%} {%- do own.append(suffix) -%} {%- endfor -%}
    {%- set first = target.schema[:target.schema | length - own[-1] | length] -%}
    {%- set view = first ~ '.' ~ node.config.meta.view_of_all_datasets -%}
    {%- set schemas, columns = [], [] -%}
    {%- for dataset, suffix in datasets.items() -%} {%- do schemas.append("('" ~ dataset ~ "', '" ~ first ~ suffix ~ "')") -%} {%- endfor -%}
    {%- for column in node.columns.values() -%}
        {%- do columns.append('(' ~ loop.index ~ ", '" ~ column.name ~ "', '" ~ column.data_type ~ "')") -%}
    {%- endfor -%}
    {#- the loader's lock for what it creates in that schema -#}
    {%- do run_query(
        advisory_lock('create', first) ~ ";
        create schema if not exists " ~ first ~ ";
        do $$
        declare
            definition text := (
                select string_agg(
                    format(
                        'select %L as dataset, %s from %I." ~ node.alias ~ "', datasets.name,
                        (
                            -- a table of an earlier version may lack a column
                            select string_agg(
                                case when found.attname is null then format('null::%s as ', columns.type) else '' end
                                || quote_ident(columns.name), ', ' order by columns.place
                            )
                            from (values " ~ columns | join(', ') ~ ") as columns (place, name, type)
                            left join pg_attribute as found
                                on found.attrelid = pg_class.oid and found.attname = columns.name and not found.attisdropped
                        ),
                        datasets.schema
                    ), ' union all ' order by datasets.name
                )
                from (values " ~ schemas | join(', ') ~ ") as datasets (name, schema)
                join pg_class on pg_class.relname = '" ~ node.alias ~ "'
                join pg_namespace on pg_namespace.oid = pg_class.relnamespace and pg_namespace.nspname = datasets.schema
            );
        begin
            execute 'create or replace view " ~ view ~ " as ' || definition;
        exception when invalid_table_definition then -- other columns than before
            execute 'drop view " ~ view ~ "';
            execute 'create view " ~ view ~ " as ' || definition;
        end $$;
        comment on view " ~ view ~ " is 'The rows of " ~ node.alias ~ " of every dataset. Give source_month: each month is a partition.';
        commit"
    ) -%}
{%- endmacro -%}
