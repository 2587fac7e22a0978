{#-
    A view of the table's rows in every dataset that has the table, with the dataset's name beside them. It is in the
    schema of the first dataset, and is made anew when a dataset gets the table, and where it is missing. A query for a
    month reads that month's partition of each table, and no other.
-#}
{%- macro create_view_of_all_datasets(node) -%}
    {%- set first_schema, schemas = schema_of_first_dataset(), {} -%}
    {%- for dataset, suffix in suffixes_of_datasets().items() -%}
        {%- do schemas.update({dataset: first_schema ~ suffix}) -%}
    {%- endfor -%}
    {%- do run_query(view_of_all_datasets(
        first_schema, first_schema ~ '.' ~ node.config.meta.view_of_all_datasets, node.alias, schemas, types_of(node)
    )) -%}
{%- endmacro -%}

{#-
    Whether the view is missing beside the table of the first dataset, whose schema dbt has listed. A table that is still
    to get a column has to wait: the view would be made without it.
-#}
{%- macro lacks_view_of_all_datasets(node, table) -%}
    {%- set is_first = schema_of_first_dataset() == node.schema -%}
    {%- if not is_first or adapter.get_relation(node.database, node.schema, node.config.meta.view_of_all_datasets) -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set there = adapter.get_columns_in_relation(table) | map(attribute='name') | list -%}
    {{ return(node.columns | reject('in', there) | list | length == 0) }}
{%- endmacro -%}

{#- What ends the names of each dataset's schemas, by dataset. -#}
{%- macro suffixes_of_datasets() -%}
    {{ return(model_named('stg_tlc__trips').config.meta.datasets) }}
{%- endmacro -%}

{#- The published schema of the dataset without a suffix. Of two suffixes that fit this schema, the later counts. -#}
{%- macro schema_of_first_dataset() -%}
    {%- for suffix in suffixes_of_datasets().values() | reverse if suffix and target.schema.endswith(suffix) -%}
        {{ return(target.schema.removesuffix(suffix)) }}
    {%- endfor -%}
    {{ return(target.schema) }}
{%- endmacro -%}

{#-
    SQL: creates or replaces the view, unless its comment says that it is as it would be made now. `schemas` is the schema
    of each dataset, `columns` the type of each column, in order. The lock is the one that the loader takes for what it
    creates in `first_schema`.

    Postgres appends columns to a view, and does no other change of its columns. So a view of other columns is dropped and
    made again, with its rights; one that somebody's view reads keeps its columns, and gets the new ones at the end.
-#}
{%- macro view_of_all_datasets(first_schema, view, table, schemas, columns) -%}
    {{ advisory_lock('create', first_schema) }};
    create schema if not exists {{ first_schema }};
    do $$
    declare
        schemas constant json := '{{ tojson(schemas) }}';
        columns json := '{{ tojson(columns) }}';
        dataset record;
        selected text;
        queries text[];
        definition text;
        note text;
        rights text[];
        each_right text;
    begin
        for attempt in 1..2 loop
            queries := '{}';
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
            definition := array_to_string(queries, ' union all ');

            if attempt = 1 then
                note := 'The rows of {{ table }} of every dataset. Give source_month: each month is a partition. Definition '
                    || md5(definition);
                if obj_description(to_regclass('{{ view }}'), 'pg_class') = note then
                    return;
                end if;
            end if;

            begin
                execute 'create or replace view {{ view }} as ' || definition;
                exit;
            exception when invalid_table_definition then -- other columns than before
                if attempt = 2 then
                    raise;
                end if;
            end;

            begin
                select array_agg(format(
                    'grant %s on {{ view }} to %s %s', privilege_type,
                    case grantee when 0 then 'public' else grantee::regrole::text end,
                    case when is_grantable then 'with grant option' else '' end
                ))
                into rights
                from pg_class, aclexplode(relacl)
                where pg_class.oid = '{{ view }}'::regclass and grantee <> relowner;

                drop view {{ view }};
                execute 'create view {{ view }} as ' || definition;
                foreach each_right in array coalesce(rights, '{}') loop
                    execute each_right;
                end loop;
                exit;
            exception when dependent_objects_still_exist then
                -- the first column of the view is the dataset's name
                select json_object_agg(name, type order by is_new, place)
                into columns
                from (
                    select attname as name, format_type(atttypid, atttypmod) as type, attnum as place, false as is_new
                    from pg_attribute where attrelid = '{{ view }}'::regclass and attnum > 1 and not attisdropped
                    union all
                    select name, type, place, true
                    from json_each_text(columns) with ordinality as declared (name, type, place)
                    where name not in (select attname from pg_attribute where attrelid = '{{ view }}'::regclass)
                ) as in_order;
            end;
        end loop;
        execute format('comment on view {{ view }} is %L', note);
    end $$;
    commit
{%- endmacro -%}
