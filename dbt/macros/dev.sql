{#-
    The target `dev`: a developer's own copy of what production makes. It reads the raw tables where production has them, and
    with --defer also production's tables of what is not built; all that it writes is in schemas that begin with dev_<user>.
-#}
{%- macro is_dev() -%}
    {{ return(target.name == 'dev') }}
{%- endmacro -%}

{#- Refuses schemas that are not a developer's, and makes the developer's own audit_log, which the loader makes in production. -#}
{%- macro prepare_dev() -%}
    {%- if not execute or not is_dev() -%} {{ return('') }} {%- endif -%}
    {#- Postgres cuts a name at 63 bytes; the longest ending is _partitions -#}
    {%- if not modules.re.match('^dev_[a-z0-9_]{1,48}$', target.schema) or target.schema.startswith('dev__') -%}
        {{ exceptions.raise_compiler_error(
            'The schema of the target dev is ' ~ target.schema ~ '. Set DEV_USER to a name of lower-case letters, digits and '
            ~ 'underscores; with PG_SCHEMA it makes the schema, dev_<user>_<student>, of 52 characters at most.'
        ) }}
    {%- endif -%}
    {%- do run_query([
        advisory_lock('create'),
        'create schema if not exists ' ~ target.schema,
        'create table if not exists ' ~ audit_log() ~ ' (like ' ~ source('loader', 'audit_log') ~ ' including all)',
        'commit',
    ] | join('; ')) -%}
{%- endmacro -%}

{#- Where the rows of a node are read from: its own schema, or the one that --defer has dbt read instead. -#}
{%- macro schema_read(node) -%}
    {%- if node.defer_relation and node.unique_id not in selected_resources and (
        flags.FAVOR_STATE or adapter.get_relation(node.database, node.schema, node.alias) is none
    ) -%}
        {{ return(node.defer_relation.schema) }}
    {%- endif -%}
    {{ return(node.schema) }}
{%- endmacro -%}
