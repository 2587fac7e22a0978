{#-
    The version of the project's SQL that this run is made by (include/transform/code_version.py), from CODE_VERSION; none
    where that is not set, as with plain dbt.
-#}
{%- macro code_version() -%}
    {%- set given = env_var('CODE_VERSION', '') -%}
    {{ return(given if modules.re.match('^[0-9a-f]{12}$', given) else none) }}
{%- endmacro -%}

{#- Git's commit of the project that makes this run, from GIT_REVISION; none where that is not set. -#}
{%- macro git_revision() -%}
    {%- set given = env_var('GIT_REVISION', '') -%}
    {{ return(given if modules.re.match('^[0-9a-z-]+$', given) else none) }}
{%- endmacro -%}

{#- SQL: a text, of which a quote is no part, or null. -#}
{%- macro sql_text(value) -%}
    {{ return('null::text' if value is none else "'" ~ value ~ "'") }}
{%- endmacro -%}

{#- What the comment of a slice ends in. -#}
{%- macro made_by(version=none) -%}
    {{ return('; code ' ~ (code_version() if version is none else version)) }}
{%- endmacro -%}
