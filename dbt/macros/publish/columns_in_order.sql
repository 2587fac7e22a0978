{#-
    Puts the columns of a published table into the contract's order: `select *` shows a table that an earlier version of
    the project made as it shows a new one. dbt appends a new column at the end. No row of a month is written anew: the
    table is made anew, and gets the partitions of the old one, whose own columns may have another order. Grants,
    comments and the views that read the table stay. Returns whether nothing is left to do; what could not be done is
    tried again with the next month's publication.
-#}
{%- macro put_columns_in_order(node) -%}
    {%- set table = node.schema ~ '.' ~ node.alias -%}
    {%- set found = run_query(columns_out_of_order(node, table)).rows[0] -%}
    {%- if not found.are_out_of_order -%} {{ return(true) }} {%- endif -%}
    {%- if found.obstacle -%}
        {{ log(table ~ ' has ' ~ found.obstacle ~ ': its columns stay in the order of an earlier version.', info=True) }}
        {{ return(true) }}
    {%- endif -%}
    {%- if 'source_month' in node.columns -%} {%- do run_query(partitions_that_say_their_month(table)) -%} {%- endif -%}
    {%- do run_query(table_made_anew_in_order(node, table)) -%}
    {%- set is_done = not run_query(columns_out_of_order(node, table)).rows[0].are_out_of_order -%}
    {{ log(table ~ ': its columns are ' ~ ('' if is_done else 'not yet ') ~ 'in the order of its contract.', info=True) }}
    {{ return(is_done) }}
{%- endmacro -%}

{#-
    SQL: whether the table's columns, those that the contract has, stand in another order; and what would not survive a
    change or hinders it.
-#}
{%- macro columns_out_of_order(node, table) -%}
    with contract as (
        select name, place
        from json_array_elements_text('{{ tojson(node.columns.keys() | list) }}') with ordinality as declared (name, place)
    ),

    readers as (
        select pg_class.* from pg_depend
        join pg_rewrite on pg_rewrite.oid = objid and classid = 'pg_rewrite'::regclass
        join pg_class on pg_class.oid = ev_class
        where refclassid = 'pg_class'::regclass and refobjid = '{{ table }}'::regclass
    )

    select
        (
            select array_agg(name order by attnum) <> array_agg(name order by place)
            from contract join pg_attribute on attname = name and attrelid = '{{ table }}'::regclass and not attisdropped
        ) as are_out_of_order,
        case
            when exists (
                select from pg_publication_tables as published
                where format('%I.%I', published.schemaname, published.tablename)::regclass in (
                    select relid from pg_partition_tree('{{ table }}') union select '{{ table }}'::regclass
                )
            ) then 'a logical publication'
            when exists (select from pg_trigger where tgrelid = '{{ table }}'::regclass and not tgisinternal)
                then 'a trigger'
            when exists (select from pg_policy where polrelid = '{{ table }}'::regclass) then 'a policy'
            when exists (select from pg_statistic_ext where stxrelid = '{{ table }}'::regclass)
                then 'extended statistics'
            when exists (select from readers where relkind <> 'v') then 'a materialized view or a rule'
            when exists (select from readers where not pg_has_role(relowner, 'usage')) then 'a view of another role'
        end as obstacle
{%- endmacro -%}

{#-
    SQL: a valid check of its month on each partition, in transactions of their own, while the table is read and written.
    With it Postgres attaches a partition without a scan, as in `new_partition`.
-#}
{%- macro partitions_that_say_their_month(table) -%}
    {%- set partitions -%}
        select inhrelid::regclass::text as name, split_part(pg_get_expr(relpartbound, pg_class.oid), '''', 2) as month
        from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = '{{ table }}'::regclass order by 1
    {%- endset -%}
    commit;
    {%- for partition in run_query(partitions).rows %}
    do $$ begin
        perform set_config('lock_timeout', '2s', true);
        alter table {{ partition.name }} drop constraint if exists of_the_month,
            add constraint of_the_month check (source_month = '{{ partition.month }}') not valid;
    exception when lock_not_available then null;
    end $$;
    commit;
    do $$ begin
        alter table {{ partition.name }} validate constraint of_the_month;
    exception when undefined_object then null;
    end $$;
    commit;
    {%- endfor %}
    select 1
{%- endmacro -%}

{#-
    SQL: the table, made anew, in one transaction. The views that read it read nothing meanwhile, under their own names;
    so they stay what they are, with their rights and with what reads them. Other sessions wait for two seconds at most:
    if it takes longer to get a lock, or a statement is refused, nothing is done.
-#}
{%- macro table_made_anew_in_order(node, table) -%}
    {{ advisory_lock('create') }};
    do $$
    declare
        before constant oid := '{{ table }}'::regclass;
        contract constant text[] := array(select json_array_elements_text('{{ tojson(node.columns.keys() | list) }}'));
        is_partitioned constant boolean := (select relkind = 'p' from pg_class where oid = before);
        columns text;
        statements text[];
        statement text;
    begin
        perform set_config('lock_timeout', '2s', true);
        lock table {{ table }} in access exclusive mode;

        select string_agg(quote_ident(attname), ', ') into columns
        from pg_attribute where attrelid = before and attnum > 0 and not attisdropped;
        create temporary table views_of_it on commit drop as
        select distinct pg_class.oid, pg_class.oid::regclass::text as name, reloptions, pg_get_viewdef(pg_class.oid) as query
        from pg_depend
        join pg_rewrite on pg_rewrite.oid = objid and classid = 'pg_rewrite'::regclass
        join pg_class on pg_class.oid = ev_class
        where refclassid = 'pg_class'::regclass and refobjid = before;

        statements := array(
            select format('create or replace view %s as select %s', name, (
                select string_agg(
                    format('null::%s as %I', format_type(atttypid, atttypmod), attname), ', ' order by attnum
                )
                from pg_attribute where attrelid = views_of_it.oid and attnum > 0
            ))
            from views_of_it
        ) || array(
            select format('alter table {{ table }} detach partition %s', inhrelid::regclass)
            from pg_inherits where inhparent = before
        );
        if not is_partitioned then
            statements := statements || array['create temporary table rows_of_it on commit drop as table {{ table }}'];
        end if;
        statements := statements || array[
            'drop table {{ table }}',
            (
                select format('create table {{ table }} (%s)%s', string_agg(part, ', ' order by place, number),
                    case when is_partitioned then ' partition by ' || pg_get_partkeydef(before) end)
                from (
                    select
                        format('%I %s', attname, format_type(atttypid, atttypmod))
                        || case when attnotnull then ' not null' else '' end as part,
                        coalesce(array_position(contract, attname::text), 10000) as place,
                        attnum::int as number
                    from pg_attribute where attrelid = before and attnum > 0 and not attisdropped
                    union all
                    select format('constraint %I %s', conname, pg_get_constraintdef(oid)), 10001, 0
                    from pg_constraint where conrelid = before and contype in ('p', 'u', 'c')
                ) as parts
            ),
            (select format('alter table {{ table }} owner to %I', pg_get_userbyid(relowner)) from pg_class where oid = before),
            -- what the default privileges of the schema have just given
            (
                'do $do$ declare given record; begin for given in select distinct grantee from pg_class, aclexplode(relacl) '
                || 'where pg_class.oid = ''{{ table }}''::regclass and grantee <> relowner loop execute format('
                || '''revoke all on {{ table }} from %s'', case given.grantee when 0 then ''public'' '
                || 'else quote_ident(pg_get_userbyid(given.grantee)) end); end loop; end $do$'
            )
        ] || array(
            select format('grant %s%s on {{ table }} to %s%s', privilege_type, ' (' || quote_ident(attname) || ')',
                case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
                case when is_grantable then ' with grant option' end)
            from (
                select null as attname, given.* from pg_class, aclexplode(relacl) as given
                where pg_class.oid = before and grantee <> relowner
                union all
                select attname, given.* from pg_attribute, aclexplode(attacl) as given
                where attrelid = before and not attisdropped
            ) as rights
        ) || array(
            select format('comment on %s is %L', case objsubid
                when 0 then 'table {{ table }}' else 'column {{ table }}.' || quote_ident(attname) end, description)
            from pg_description left join pg_attribute on attrelid = objoid and attnum = objsubid and objsubid > 0
            where objoid = before and classoid = 'pg_class'::regclass
        ) || array(
            select replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') from pg_index
            where indrelid = before and not exists (select from pg_constraint where conindid = indexrelid)
        ) || array(
            select format('alter table {{ table }} attach partition %s %s', inhrelid::regclass,
                pg_get_expr(relpartbound, pg_class.oid))
            from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = before
        ) || array(
            select format('alter table %s drop constraint if exists of_the_month', inhrelid::regclass)
            from pg_inherits where inhparent = before
        );
        if not is_partitioned then
            statements := statements || format(
                'insert into {{ table }} (%s) select %s from rows_of_it', columns, columns
            );
        end if;
        statements := statements || array(
            select format('create or replace view %s%s as %s', name,
                ' with (' || array_to_string(reloptions, ', ') || ')', query)
            from views_of_it
        );
        foreach statement in array statements loop
            execute statement;
        end loop;
    exception when others then
        raise warning 'the columns of {{ table }} stay as they are for now: %', sqlerrm;
    end $$;
    commit
{%- endmacro -%}
