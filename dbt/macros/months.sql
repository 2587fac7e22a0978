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

{#- This run's own schema: PG_SCHEMA where it names one, else made from the published schema and the month. -#}
{%- macro run_schema() -%}
    {%- set given = env_var('PG_SCHEMA', target.schema) -%}
    {%- set own = target.schema ~ '_' ~ month_start() | replace('-', '') -%}
    {%- if var('ds', none) is not none and given not in [target.schema, own] and not given.startswith(own ~ '_') -%}
        {{ exceptions.raise_compiler_error(
            'PG_SCHEMA=' ~ given ~ ' belongs to another month than ds=' ~ var('ds', none) ~ '. Set it to ' ~ target.schema
        ) }}
    {%- endif -%}
    {{ return(own if given == target.schema else given) }}
{%- endmacro -%}

{%- macro generate_schema_name(custom_schema_name, node) -%}
    {{ return(target.schema if custom_schema_name == 'published' else run_schema()) }}
{%- endmacro -%}

{#- Overrides dbt's macro, which a build calls first: a build without a month fails here, and leaves nothing behind. -#}
{%- macro create_schema(relation) -%}
    {%- do month_start() -%}
    {{ adapter.dispatch('create_schema', 'dbt')(relation) }}
{%- endmacro -%}
