{#-
    No command of dbt's may drop, empty or replace a table outside the run's own schema, whatever its flags. The macros
    below override those by which dbt does so. Published rows are replaced month by month, by replace_slice.
-#}

{%- macro postgres__drop_relation(relation) -%}
    {{ refuse_to_lose(relation) }}
    {{ default__drop_relation(relation) }}
{%- endmacro -%}

{%- macro postgres__truncate_relation(relation) -%}
    {{ refuse_to_lose(relation) }}
    {{ default__truncate_relation(relation) }}
{%- endmacro -%}

{%- macro postgres__rename_relation(from_relation, to_relation) -%}
    {{ refuse_to_lose(from_relation) }}
    {{ default__rename_relation(from_relation, to_relation) }}
{%- endmacro -%}

{%- macro postgres__drop_schema(relation) -%}
    {{ refuse_to_lose(relation) }}
    {%- call statement('drop_schema') -%}
        drop schema if exists {{ relation.without_identifier().include(database=false) }} cascade
    {%- endcall -%}
{%- endmacro -%}

{%- materialization clone, adapter='postgres' -%}
    {{ exceptions.raise_compiler_error('dbt clone would put a view in the place of ' ~ this ~ '. Use dbt build.') }}
{%- endmaterialization -%}

{#- Fails for every schema but the run's own, and for what is in them. A temporary table has no schema. -#}
{%- macro refuse_to_lose(relation) -%}
    {%- if relation.schema not in [none, run_schema()] -%}
        {{ exceptions.raise_compiler_error(
            relation ~ ' is not in ' ~ run_schema() ~ ', the schema of this run, and may hold the rows of all months: dbt '
            ~ 'does not drop, empty or replace it. A month is replaced by dbt build. To remove it all the same, use psql.'
        ) }}
    {%- endif -%}
{%- endmacro -%}
