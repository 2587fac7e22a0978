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

{#- SQL: the same as a date, to compare source_month with. -#}
{%- macro source_month() -%}
    date '{{ month_start() }}'
{%- endmacro -%}

{#- What error messages advise where the run's own tables are of no use any more. -#}
{%- macro whole_month_again() -%}
    {{ return(
        "Clear the whole month, from load_month on (with plain dbt: dbt build --vars '{ds: " ~ month_start() ~ "}')."
    ) }}
{%- endmacro -%}
