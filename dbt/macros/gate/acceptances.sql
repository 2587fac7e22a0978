{#-
    An audit of what is plausible says `may_be_accepted` in its `meta`. Somebody may accept that it fails on the rows of
    one file: the row of audit_log whose inputs are `file <sha256>` (include/ingest/acceptances.py). The verdict on the
    rows themselves stays as it is, so that equal rows of another file are not accepted with them.
-#}

{#- SQL: the month's file that is loaded, as it stands in `inputs`. -#}
{%- macro loaded_file() -%}
    (select 'file ' || sha256 from {{ load_log() }} where source_month = {{ source_month() }})
{%- endmacro -%}

{#- SQL condition: all slices that the audit reads were made from the files that are loaded. -#}
{%- macro is_of_loaded_files(audit) -%}
    {%- set conditions = ['true'] -%}
    {%- for id in input_ids(audit) if id in graph.nodes -%}
        {%- do conditions.append(is_current(schema_read(graph.nodes[id]) ~ '.' ~ graph.nodes[id].alias)) -%}
    {%- endfor -%}
    {{ return(conditions | join(' and ')) }}
{%- endmacro -%}

{#- SQL condition: it was accepted that the audit fails on the rows of the file that is loaded. -#}
{%- macro is_accepted(audit) -%}
    {%- if not audit.config.meta.may_be_accepted -%} {{ return('false') }} {%- endif -%}
    exists (select from {{ acceptances([audit]) }} as accepted) and {{ is_of_loaded_files(audit) }}
{%- endmacro -%}

{#-
    SQL: the acceptances of these audits for the file that is loaded, production's for a developer too. `to_jsonb`, as
    an audit_log of an earlier revision has no such columns before the next load.
-#}
{%- macro acceptances(audits) -%}
    {%- set ids = audits | selectattr('config.meta.may_be_accepted') | map(attribute='unique_id') -%}
    (
        select
            split_part(audit, '.', 3) as name, judged_at, inputs,
            to_jsonb(noted) ->> 'accepted_by' as accepted_by, to_jsonb(noted) ->> 'reason' as reason
        from {{ source('loader', 'audit_log') }} as noted
        where source_month = {{ source_month() }}
            and audit in ('{{ ids | join("', '") }}')
            and inputs = {{ loaded_file() }}
            and to_jsonb(noted) ->> 'reason' is not null
    )
{%- endmacro -%}

{#- SQL: the same as one text, for a log; null where there is none. -#}
{%- macro told_of_acceptances(audits) -%}
    (
        select string_agg(
            format(
                '%s: accepted by %s on %s for the file %s: "%s"', name, coalesce(accepted_by, 'somebody'),
                to_char(judged_at at time zone 'UTC', 'YYYY-MM-DD'), substr(inputs, 6, 12), reason
            ),
            e'\n' order by name
        )
        from {{ acceptances(audits) }} as accepted
    )
{%- endmacro -%}
