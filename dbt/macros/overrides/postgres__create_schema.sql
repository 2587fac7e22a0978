{#-
    Where a schema is not there yet, a build calls this first. A build without a month, or in the schema of another
    month, fails here and leaves nothing behind.

    It takes a lock, as `create schema if not exists` fails when sessions run it at once (60 of 80 in a trial).
-#}
{%- macro postgres__create_schema(relation) -%}
    {%- do run_schema() -%}
    {%- call statement('create_schema') -%}
        {{ advisory_lock('create') }};
        create schema if not exists {{ relation.without_identifier().include(database=False) }}
    {%- endcall -%}
{%- endmacro -%}
