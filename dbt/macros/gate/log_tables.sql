{#-
    The loader's tables load_log and audit_log; a developer has an audit_log of their own. A node that calls these does not
    depend on them in dbt's graph, as a verdict is about all that its test depends on. While dbt parses, no SQL is run and
    there is no source yet: then a name alone.
-#}
{%- macro load_log() -%}
    {{ return(source('loader', 'load_log') if execute else 'load_log') }}
{%- endmacro -%}

{%- macro audit_log() -%}
    {{ return(source('loader', 'audit_log').incorporate(path={'schema': target.schema}) if execute else 'audit_log') }}
{%- endmacro -%}
