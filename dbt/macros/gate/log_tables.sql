{#-
    The loader's tables load_log and audit_log; a developer has an audit_log of their own.

    In dbt's graph, a node that calls these macros does not depend on the tables: a verdict is about all that its test
    depends on. While dbt parses, it knows no source yet and runs no SQL, so a bare name will do.
-#}
{%- macro load_log() -%}
    {{ return(source('loader', 'load_log') if execute else 'load_log') }}
{%- endmacro -%}

{%- macro audit_log() -%}
    {{ return(source('loader', 'audit_log').incorporate(path={'schema': target.schema}) if execute else 'audit_log') }}
{%- endmacro -%}
