{#-
    The month every model is for: first day of the month of the variable `ds`, as YYYY-MM-DD.

    Commands that read no table of a month are parsed without one, under the name `which_month`. dbt may hand what they
    parsed to any later command (partial parsing looks at the variables, not at the command). So the month is required
    again when SQL is made.
-#}
{%- macro month_start() -%}
    {%- set ds = var('ds', none) -%}
    {%- if ds is none and not execute and flags.WHICH in [
        'parse', 'list', 'ls', 'deps', 'clean', 'debug', 'generate', 'freshness', 'snapshot-freshness'
    ] -%}
        {{ return('which_month') }}
    {%- endif -%}
    {%- if not modules.re.match('^[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}$', ds | string) -%}
        {{ exceptions.raise_compiler_error(
            "Which month? Pass a date of it: --vars '{ds: 2024-01-01}' (ds is now: " ~ ds ~ ")"
        ) }}
    {%- endif -%}
    {{ return((ds | string)[:8] ~ '01') }}
{%- endmacro -%}

{#- The same as an SQL literal, to compare source_month with. -#}
{%- macro source_month() -%}
    date '{{ month_start() }}'
{%- endmacro -%}

{#- This run's own schema: PG_RUN_SCHEMA, else made from the published schema and the month. -#}
{%- macro run_schema() -%}
    {{- require_developer() -}}
    {%- if modules.re.search('_[0-9]{8}(_[0-9a-f]{8})?$', target.schema) -%}
        {{ exceptions.raise_compiler_error(
            'PG_SCHEMA=' ~ target.schema ~ ' reads like the schema of a run. Set PG_SCHEMA to the published schema, such as '
            ~ 'airflow_default, and PG_RUN_SCHEMA, where it is needed, to that of the run.'
        ) }}
    {%- endif -%}
    {%- set own = target.schema ~ '_' ~ month_start() | replace('-', '') -%}
    {%- set given = env_var('PG_RUN_SCHEMA', own) -%}
    {%- if var('ds', none) is not none and given != own and not given.startswith(own ~ '_') -%}
        {{ exceptions.raise_compiler_error(
            'PG_RUN_SCHEMA=' ~ given ~ ' is not a schema of ' ~ target.schema ~ ' for ds=' ~ var('ds', none)
            ~ '. Unset it: ' ~ own ~ ' is used then.'
        ) }}
    {%- endif -%}
    {{ return(given) }}
{%- endmacro -%}

{%- macro generate_schema_name(custom_schema_name, node) -%}
    {{ return(target.schema if custom_schema_name == 'published' else run_schema()) }}
{%- endmacro -%}

{#-
    Overrides dbt's macro, which a build calls first, where a schema is not there yet: a build without a month, or in the
    schema of another month, fails here and leaves nothing behind.
-#}
{%- macro create_schema(relation) -%}
    {%- do run_schema() -%}
    {{ adapter.dispatch('create_schema', 'dbt')(relation) }}
{%- endmacro -%}
