{#-
    The gate between the run's own schema and the published tables: a mart asks for the verdict of every audit on
    exactly its rows. An audit is a data test of the run's own schema or of the raw tables. Its verdict is a row of
    audit_log, with the content (contents.sql) of all that the audit has read.
-#}

{#- Pre-hook of marts: they derive from all these slices, so that one failing audit keeps the whole month out. -#}
{%- macro after_every_audit_of(slices) -%}
    {%- for slice in slices -%} {%- do ref(slice) -%} {%- endfor -%}
{%- endmacro -%}

{#-
    SQL: the query of an audit, which also writes its verdict into audit_log. It is one statement, so that the content
    that is written is that of the rows that were judged.

    An audit that may be accepted writes a verdict on the month's file too, which then somebody can accept: only what
    has failed on this file. Once it is accepted, the audit fails with a warning on rows of this file.
-#}
{%- macro noted(verdict) -%}
    {%- set inputs = contents_of(input_ids(model), {}) -%}
    {%- set passed = 'true' if config.get('severity') | lower == 'warn' else 'not should_error' -%}
    {%- set may_be_accepted = model.config.meta.may_be_accepted -%}
    {%- set judges_file = may_be_accepted and not is_dev() -%}
    with verdict as materialized (
        {{ verdict }}
    ),

    noted as (
        insert into {{ audit_log() }} as noted (source_month, audit, inputs, passed, judged_at)
        select {{ source_month() }}, '{{ model.unique_id }}', judged.inputs, {{ passed }}, now()
        from verdict
        cross join (
            values ({{ inputs }})
            {%- if judges_file %}, (case when {{ is_of_loaded_files(model) }} then {{ loaded_file() }} end) {%- endif %}
        ) as judged (inputs)
        where judged.inputs is not null
        on conflict (source_month, audit, inputs) do update
        set passed = excluded.passed, judged_at = excluded.judged_at
        where noted.passed <> excluded.passed {%- if judges_file %} and to_jsonb(noted) ->> 'reason' is null {%- endif %}
    )

    {% if may_be_accepted -%}
    select
        failures, should_warn or should_error as should_warn,
        should_error and not ({{ is_accepted(model) }}) as should_error
    from verdict
    {%- else -%}
    select * from verdict
    {%- endif %}
{%- endmacro -%}

{#-
    SQL: a text that names those of the audits which have not passed on the present content; null where all have. One
    that failed, and may on the rows of this file, as somebody has accepted it, is not named.

    An audit that reads raw tables alone counts only if it failed on the loaded file. It need not have run on that file:
    load_month may be cleared alone after the audit, and it writes rows and log in one transaction.
-#}
{%- macro audits_not_passed(audits) -%}
    {%- set known = {} -%}
    (
        select nullif(concat_ws(
            '; ',
            'failed: '
            || string_agg(needed.name, ', ' order by needed.name) filter (where not noted.passed),
            'not run on these rows: '
            || string_agg(needed.name, ', ' order by needed.name) filter (where noted.passed is null)
        ), '')
        from (values
            -- a node may have no audit, and `values` needs a row
            (null, null, null, false, false)
            {%- for audit in audits %},
            {%- set ids = input_ids(audit) %}
            {%- set reads_slices = ids | reject('in', graph.sources) | list | length > 0 %}
            (
                '{{ audit.name }}', '{{ audit.unique_id }}', {{ contents_of(ids, known) }}, {{ reads_slices }},
                {{ is_accepted(audit) }}
            )
            {%- endfor %}
        ) as needed (name, audit, inputs, reads_slices, is_accepted)
        left join {{ verdicts_of(audits) }} as noted
            on noted.source_month = {{ source_month() }}
            and noted.audit = needed.audit
            and noted.inputs = needed.inputs
        where (not noted.passed and not needed.is_accepted) or (noted.passed is null and needed.reads_slices)
    )
{%- endmacro -%}

{#-
    SQL: the table of verdicts. A developer has two, their own and production's, and an audit may have a verdict in
    both. Of an audit that reads slices that the developer builds, the developer's own verdict comes first; of one that
    reads production's slices, production's.
-#}
{%- macro verdicts_of(audits) -%}
    {%- if not is_dev() -%} {{ return(audit_log()) }} {%- endif -%}
    {%- set of_own_slices = [] -%}
    {%- for audit in audits if reads_own(input_ids(audit) | reject('in', graph.sources)) -%}
        {%- do of_own_slices.append(audit.unique_id) -%}
    {%- endfor -%}
    {%- set is_of_own_slices = "audit in ('" ~ of_own_slices | join("', '") ~ "')" -%}
    (
        select distinct on (source_month, audit, inputs) *
        from (
            select source_month, audit, inputs, passed, {{ is_of_own_slices }} as comes_first from {{ audit_log() }}
            union all
            select source_month, audit, inputs, passed, not {{ is_of_own_slices }}
            from {{ source('loader', 'audit_log') }}
        ) as both_logs
        order by source_month, audit, inputs, comes_first desc
    )
{%- endmacro -%}
