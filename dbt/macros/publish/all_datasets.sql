{#-
    A view of the table in every dataset that has it, with the dataset's name beside it, in the schema of the first dataset.
    Made anew when a dataset gets the table. It asks no table for more months than are asked of it: each is partitioned by
    source_month.
-#}
{%- macro create_view_of_all_datasets(node) -%}
    {%- set suffixes = model_named('stg_tlc__trips').config.meta.datasets -%}
    {%- set first_schema = schema_of_first_dataset(suffixes) -%}
    {%- set schemas, columns = {}, {} -%}
    {%- for dataset, suffix in suffixes.items() -%} {%- do schemas.update({dataset: first_schema ~ suffix}) -%} {%- endfor -%}
    {%- for column in node.columns.values() -%} {%- do columns.update({column.name: column.data_type}) -%} {%- endfor -%}
    {%- do run_query(view_of_all_datasets(
        first_schema, first_schema ~ '.' ~ node.config.meta.view_of_all_datasets, node.alias, schemas, columns
    )) -%}
{%- endmacro -%}

{%- macro schema_of_first_dataset(suffixes) -%}
    {%- for suffix in suffixes.values() if suffix and target.schema.endswith(suffix) -%}
        {{ return(target.schema.removesuffix(suffix)) }}
    {%- endfor -%}
    {{ return(target.schema) }}
{%- endmacro -%}

{#-
    SQL: creates or replaces the view. `schemas` has each dataset's schema, `columns` each column's type, in their order.
    Which of the tables and columns are there is looked up under the loader's lock for what it creates in `first_schema`.
-#}
{%- macro view_of_all_datasets(first_schema, view, table, schemas, columns) -%}
    {{ advisory_lock('create', first_schema) }};
    create schema if not exists {{ first_schema }};
    do $$
    declare
        schemas constant json := '{{ tojson(schemas) }}';
        columns constant json := '{{ tojson(columns) }}';
        dataset record;
        selected text;
        queries text[];
    begin
        for dataset in
            select named.key as name, named.value as schema, pg_class.oid as table_id
            from json_each_text(schemas) as named
            join pg_namespace on pg_namespace.nspname = named.value
            join pg_class on pg_class.relnamespace = pg_namespace.oid and pg_class.relname = '{{ table }}'
            order by name
        loop
            -- a table of an earlier version may lack a column
            select string_agg(
                case
                    when attname is null then format('null::%s as %I', declared.type, declared.name)
                    else quote_ident(declared.name)
                end, ', ' order by declared.place
            )
            into selected
            from json_each_text(columns) with ordinality as declared (name, type, place)
            left join pg_attribute on attrelid = dataset.table_id and attname = declared.name and not attisdropped;

            queries := queries || format(
                'select %L as dataset, %s from %I.{{ table }}', dataset.name, selected, dataset.schema
            );
        end loop;

        execute 'create or replace view {{ view }} as ' || array_to_string(queries, ' union all ');
    exception when invalid_table_definition then -- other columns than before
        drop view {{ view }};
        execute 'create view {{ view }} as ' || array_to_string(queries, ' union all ');
    end $$;
    comment on view {{ view }} is 'The rows of {{ table }} of every dataset. Give source_month: each month is a partition.';
    commit
{%- endmacro -%}
