{#-
    Whether this is the target `dev`: a developer's own copy of what production makes. It reads production's raw tables,
    and with --defer also production's tables of the models that are not built. It writes to schemas that begin with
    dev_<user>, and to no others.
-#}
{%- macro is_dev() -%}
    {{ return(target.name == 'dev') }}
{%- endmacro -%}

{#-
    Fails where no schema can have the developer's name. Postgres cuts a name at 63 bytes, and _partitions is to follow.
-#}
{%- macro require_developer() -%}
    {%- if is_dev() and not modules.re.match('^dev_[a-z0-9][a-z0-9_]{0,47}$', target.schema) -%}
        {{ exceptions.raise_compiler_error(
            'The schema of the target dev is ' ~ target.schema ~ '. Set DEV_USER to a name of lower-case letters, '
            ~ 'digits and underscores; with PG_SCHEMA it makes the schema, dev_<user>_<student>, of 52 characters at '
            ~ 'most.'
        ) }}
    {%- endif -%}
{%- endmacro -%}
