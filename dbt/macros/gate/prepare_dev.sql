{#- Makes the developer's own audit_log; production's is made by the loader. -#}
{%- macro prepare_dev() -%}
    {%- if not execute or not is_dev() -%} {{ return('') }} {%- endif -%}
    {%- set statements -%}
        {{ advisory_lock('create') }};
        create schema if not exists {{ target.schema }};
        create table if not exists {{ audit_log() }} (like {{ source('loader', 'audit_log') }} including all);
        commit
    {%- endset -%}
    {%- do run_query(statements) -%}
{%- endmacro -%}
