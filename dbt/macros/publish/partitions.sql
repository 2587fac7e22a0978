{#- The schema of the months' partitions. -#}
{%- macro partitions_schema() -%}
    {{ return(target.schema ~ '_partitions') }}
{%- endmacro -%}

{#- The month's partition of a table, named as the loader names those of the raw tables. -#}
{%- macro partition_of(table) -%}
    {{ return(partitions_schema() ~ '.' ~ table.identifier ~ '_' ~ month_start()[:7] | replace('-', '')) }}
{%- endmacro -%}

{#- Whether the month's partition is there. -#}
{%- macro has_partition(table) -%}
    {%- set found = run_query("select to_regclass('" ~ partition_of(table) ~ "') is not null as is_there") -%}
    {{ return(found.rows[0].is_there) }}
{%- endmacro -%}

{#-
    SQL: the month's first publication. The partition is filled first and indexed then, which takes half the time. It is
    attached last: `create table … partition of` locks out every reader of the table. With the check, Postgres attaches
    it without a scan, during which no other month could be attached.
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
    {{ replica_identity(model, partition) }}
    {%- for index in model.config.get('indexes') or [] %}
    create index on {{ partition }} ({{ index.columns | join(', ') }});
    {%- endfor %}
    alter table {{ table }} attach partition {{ partition }} for values in ({{ source_month() }});
    alter table {{ partition }} drop constraint of_the_month;
{%- endmacro -%}

{#-
    Whether the month has no partition yet, and the database has a publication, for logical replication. A subscriber
    gets no row that was written before its partition was attached: such rows are not the published table's yet.
-#}
{%- macro is_published_without_partition(table) -%}
    {%- set found -%}
        select to_regclass('{{ partition_of(table) }}') is null and exists (select from pg_publication) as is_so
    {%- endset -%}
    {{ return(run_query(found).rows[0].is_so) }}
{%- endmacro -%}

{#-
    SQL: makes and attaches the month's partition, without rows, unless another session has done so meanwhile. That one
    holds the lock of attaching; a session looks anew at what is there when it has waited for a table's lock.
-#}
{%- macro empty_partition(node, table) -%}
    {%- set partition = partition_of(table) -%}
    commit;
    lock table only {{ table }} in share update exclusive mode;
    do $$ begin
        if to_regclass('{{ partition }}') is null then
            create table {{ partition }} (like {{ table }} including all);
            {{ replica_identity(node, partition) }}
            alter table {{ table }} attach partition {{ partition }} for values in ({{ source_month() }});
        end if;
    end $$;
    commit
{%- endmacro -%}

{#-
    SQL: names the whole row as what tells a subscriber which row was deleted, where the table has no primary key. A
    partition does not have it from its table.
-#}
{%- macro replica_identity(node, table) -%}
    {%- if node.constraints | selectattr('type', 'equalto', 'primary_key') | list | length == 0 -%}
    alter table {{ table }} replica identity full;
    {%- endif -%}
{%- endmacro -%}
