{#- An audit's statement also writes down its verdict. -#}
{%- macro postgres__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {%- set audits = is_audit(model) -%}
    {%- if flags.EMPTY and audits -%}
        {{ exceptions.raise_compiler_error(
            model.name ~ ' judges the rows there are, and --empty hides them: leave out --empty.'
        ) }}
    {%- endif -%}
    {%- set verdict = default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {#- with --store-failures, dbt has read the rows in an earlier statement than this one -#}
    {%- if not audits or (reads_deferred_tables() and not is_dev()) or should_store_failures() -%}
        {{ return(verdict) }}
    {%- endif -%}
    {{ noted(verdict) }}
{%- endmacro -%}
