{#-
    Fails for every schema but the run's own, and for what is in it: no command of dbt's, whatever its flags, may drop,
    empty or replace a table outside. Published rows are replaced month by month, by replace_slice. A temporary table
    has no schema.
-#}
{%- macro refuse_to_lose(relation) -%}
    {%- if relation.schema not in [none, run_schema()] -%}
        {{ exceptions.raise_compiler_error(
            relation ~ ' is not in ' ~ run_schema() ~ ', the schema of this run, and may hold the rows of all months: '
            ~ 'dbt does not drop, empty or replace it. A month is replaced by dbt build. To remove it all the same, '
            ~ 'use psql.'
        ) }}
    {%- endif -%}
{%- endmacro -%}
