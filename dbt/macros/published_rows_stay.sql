{#-
    No command of dbt's may drop, empty or replace a table that all months share, whatever its flags: these are the macros
    by which dbt does so, under its own names. Published rows are replaced month by month, by replace_slice.
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
    {{ default__drop_schema(relation) }}
{%- endmacro -%}

{%- materialization clone, adapter='postgres' -%}
    {{ exceptions.raise_compiler_error('dbt clone would put a view in the place of ' ~ this ~ '. Use dbt build.') }}
{%- endmaterialization -%}

{#- Fails for the schema that all months share, for that of its partitions, and for what is in them. -#}
{%- macro refuse_to_lose(relation) -%}
    {%- if relation.schema in [target.schema, partitions_schema()] -%}
        {{ exceptions.raise_compiler_error(
            relation ~ ' holds the rows of all months: dbt does not drop, empty or replace it here. A month is replaced by '
            ~ 'dbt build. To remove the table all the same, use psql.'
        ) }}
    {%- endif -%}
{%- endmacro -%}
