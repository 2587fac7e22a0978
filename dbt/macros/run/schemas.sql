{#- This run's own schema: PG_RUN_SCHEMA, else made from the published schema and the month. -#}
{%- macro run_schema() -%}
    {{- require_developer() -}}
    {%- if modules.re.search('_[0-9]{8}(_[0-9a-f]{8})?$', target.schema) -%}
        {{ exceptions.raise_compiler_error(
            'PG_SCHEMA=' ~ target.schema ~ ' reads like the schema of a run. Set PG_SCHEMA to the published schema, '
            ~ 'such as airflow_default, and PG_RUN_SCHEMA, where it is needed, to that of the run.'
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
