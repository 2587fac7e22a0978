{#- The month every model is for: first day of the month of the variable `ds`, as YYYY-MM-DD. -#}
{%- macro month_start() -%}
    {%- set ds = var('ds', none) -%}
    {%- if ds is none and flags.WHICH in ['parse', 'list', 'deps', 'clean', 'debug', 'generate'] -%}
        {{ return('1970-01-01') }}
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
    {%- if given not in [target.schema, own] and not given.startswith(own ~ '_') -%}
        {{ exceptions.raise_compiler_error(
            'PG_SCHEMA=' ~ given ~ ' belongs to another month than ds=' ~ var('ds', none) ~ '. Set it to ' ~ target.schema
        ) }}
    {%- endif -%}
    {{ return(own if given == target.schema else given) }}
{%- endmacro -%}

{%- macro generate_schema_name(custom_schema_name, node) -%}
    {{ return(target.schema if custom_schema_name == 'published' else run_schema()) }}
{%- endmacro -%}
