{#-
    The target `dev`: a developer's own copy of what production makes. It reads the raw tables where production has them, and
    with --defer also production's tables of what is not built; all that it writes is in schemas that begin with dev_<user>.
-#}
{%- macro is_dev() -%}
    {{ return(target.name == 'dev') }}
{%- endmacro -%}

{#- Fails where the developer's name cannot be part of a schema's. Postgres cuts one at 63 bytes; _partitions is to follow. -#}
{%- macro require_developer() -%}
    {%- if is_dev() and not modules.re.match('^dev_[a-z0-9][a-z0-9_]{0,47}$', target.schema) -%}
        {{ exceptions.raise_compiler_error(
            'The schema of the target dev is ' ~ target.schema ~ '. Set DEV_USER to a name of lower-case letters, digits and '
            ~ 'underscores; with PG_SCHEMA it makes the schema, dev_<user>_<student>, of 52 characters at most.'
        ) }}
    {%- endif -%}
{%- endmacro -%}

{#- Makes the developer's own audit_log; production's is made by the loader. -#}
{%- macro prepare_dev() -%}
    {%- if not execute or not is_dev() -%} {{ return('') }} {%- endif -%}
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
        invocation_args_dict.favor_state or adapter.get_relation(node.database, node.schema, node.alias) is none
    ) -%}
        {{ return(node.defer_relation.schema) }}
    {%- endif -%}
    {{ return(node.schema) }}
{%- endmacro -%}

{#- Whether one of these slices, named by their ids, is read from where this run builds it, not from where --defer says. -#}
{%- macro reads_own(slices) -%}
    {%- for id in slices if schema_read(graph.nodes[id]) == graph.nodes[id].schema -%} {{ return(true) }} {%- endfor -%}
    {{ return(false) }}
{%- endmacro -%}
