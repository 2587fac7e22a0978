{#-
    The gate between the run's own schema and the published tables: what each data test found, on exactly which rows.

    A slice is a table of the run's own schema. Its comment says what it holds: the number of rows and a hash of them all
    (name_content, a post-hook in the transaction that makes the slice). A data test writes down what it found, together
    with the content of every slice it reads, in the statement that reads them. A mart looks up the latest verdict of every
    data test of every slice it derives from. dbt's graph says which tests these are.
-#}

{#- Post-hook: the content of a slice, as its comment, which lives and dies with the table. Equal rows, equal content. -#}
{%- macro name_content() -%}
    {%- if model.config.materialized not in ('view', 'ephemeral') -%}
    do $$ begin
        execute format('comment on table {{ this }} is %L', (
            select count(*) || ' rows, ' || coalesce(sum(hash_record_extended(slice, 0)), 0) from {{ this }} as slice
        ));
    end $$
    {%- endif -%}
{%- endmacro -%}

{#- Pre-hook of marts: they wait for the tests of all these, so that one failing audit keeps a whole month out. -#}
{%- macro after_every_audit_of(slices) -%}
    {%- for slice in slices -%} {%- do ref(slice) -%} {%- endfor -%}
{%- endmacro -%}

{#- Overrides dbt's macro: the verdict of a test of the run's own schema or of the raw tables is also written down. -#}
{%- macro postgres__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {%- if flags.EMPTY and is_audit(model) -%}
        {{ exceptions.raise_compiler_error(model.name ~ ' judges the rows there are, and --empty hides them: leave out --empty.') }}
    {%- endif -%}
    {%- set verdict = default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {#- with --store-failures, dbt has read the rows in an earlier statement than this one -#}
    {%- if not is_audit(model) or (reads_deferred_tables() and not is_dev()) or should_store_failures() -%} {{ return(verdict) }} {%- endif -%}
    {%- set inputs = content_of_all(input_ids(model), {}) -%}
    with verdict as materialized (
        {{ verdict }}
    ),

    noted as (
        insert into {{ audit_log() }} as noted (source_month, audit, inputs, passed, judged_at)
        select
            {{ source_month() }}, '{{ model.unique_id }}', {{ inputs }},
            {{ 'true' if config.get('severity') | lower == 'warn' else 'not should_error' }}, now()
        from verdict
        where {{ inputs }} is not null
        on conflict (source_month, audit, inputs) do update set passed = excluded.passed, judged_at = excluded.judged_at
        where noted.passed <> excluded.passed
    )

    select * from verdict
{%- endmacro -%}

{#- Overrides dbt's materialization of tests: it also commits, and logs the first rows that failed. -#}
{%- materialization test, adapter='postgres' -%}
    {%- set relations = materialization_test_default() -%}
    {%- do adapter.execute('commit', auto_begin=false, fetch=false) -%}
    {%- if load_result('main')['data'][0][0] -%}
        {%- set failing = run_query('select * from (' ~ sql ~ ') as failing limit 5') -%}
        {%- do log(model.name ~ ': ' ~ model.description | replace('\n', ' ') | trim, info=True) -%}
        {%- for row in failing.rows -%}
            {%- set values = [] -%}
            {%- for name in failing.column_names -%} {%- do values.append(name ~ '=' ~ row[name]) -%} {%- endfor -%}
            {%- do log('  ' ~ values | join(', '), info=True) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(relations) }}
{%- endmaterialization -%}

{#-
    The loader's tables load_log and audit_log; a developer has an audit_log of their own. They are no dependency of the node
    that calls this, as a verdict is about all that its test depends on. While dbt parses there is no source yet, and no SQL
    is run.
-#}
{%- macro load_log() -%}
    {{ return(source('loader', 'load_log') if execute else 'load_log') }}
{%- endmacro -%}

{%- macro audit_log() -%}
    {{ return(source('loader', 'audit_log').incorporate(path={'schema': target.schema}) if execute else 'audit_log') }}
{%- endmacro -%}

{#-
    SQL: the verdicts that count. A developer's own come before production's for the audits of slices that the developer has
    built, which are named; production's come first for those of slices that are read from production.
-#}
{%- macro verdicts(of_own_slices) -%}
    {%- if not is_dev() -%} {{ return(audit_log()) }} {%- endif -%}
    (
        select distinct on (source_month, audit, inputs) * from (
            select 1 as place, * from {{ audit_log() }} union all select 2, * from {{ source('loader', 'audit_log') }}
        ) as noted
        order by source_month, audit, inputs, case when audit in ('{{ of_own_slices | join("', '") }}') then place else -place end
    )
{%- endmacro -%}

{#- Whether a node is an audit: a data test that reads no published table. -#}
{%- macro is_audit(node) -%}
    {%- set published = [] -%}
    {%- for id in node.depends_on.nodes if id in graph.nodes and graph.nodes[id].schema == target.schema -%}
        {%- do published.append(id) -%}
    {%- endfor -%}
    {{ return(node.resource_type == 'test' and node.depends_on.nodes and not published) }}
{%- endmacro -%}

{#- Whether --defer makes this node read another schema than the run's own. -#}
{%- macro reads_deferred_tables() -%}
    {%- set deferred = [] -%}
    {%- for id in model.depends_on.nodes if id in graph.nodes and graph.nodes[id].schema != target.schema -%}
        {%- set relation = ref(graph.nodes[id].name) -%}
        {%- if relation.schema != run_schema() -%} {%- do deferred.append(relation) -%} {%- endif -%}
    {%- endfor -%}
    {{ return(deferred | length > 0) }}
{%- endmacro -%}

{#-
    SQL: the present content of these slices and raw tables, by their ids; null where that of one is not known. `contents`
    keeps the SQL of each for the next node: a publication spends its CPU on macro calls.
-#}
{%- macro content_of_all(ids, contents) -%}
    {%- set found = [] -%}
    {%- for id in ids -%}
        {%- if id not in contents -%} {%- do contents.update({id: content_of(id) | trim}) -%} {%- endif -%}
        {%- do found.append(contents[id]) -%}
    {%- endfor -%}
    {{ return(found | join(" || '; ' || ")) }}
{%- endmacro -%}

{#- The slices and raw tables that the node reads, directly or through views, by their ids. -#}
{%- macro input_ids(node) -%}
    {%- set inputs = [] -%}
    {%- for id in node.depends_on.nodes -%} {%- do _collect_inputs(id, inputs) -%} {%- endfor -%}
    {{ return(inputs | sort) }}
{%- endmacro -%}

{%- macro _collect_inputs(id, inputs) -%}
    {%- set node = graph.nodes.get(id) -%}
    {%- if node and node.config.materialized in ('view', 'ephemeral') -%}
        {%- for parent in node.depends_on.nodes -%} {%- do _collect_inputs(parent, inputs) -%} {%- endfor -%}
    {%- elif id not in inputs -%}
        {%- do inputs.append(id) -%}
    {%- endif -%}
{%- endmacro -%}

{#-
    SQL: the name and content of a slice as of when it was made, or of the files a raw table holds for the month (of the
    load_log, all files); null where it is not there.
-#}
{%- macro content_of(id) -%}
    {%- if id in graph.sources -%}
        {%- set table = graph.sources[id].identifier -%}
        (
            select 'file ' || string_agg(file_id::text, ', ' order by file_id) from {{ load_log() }}
            where coalesce(source_month, {{ source_month() }}) = {{ source_month() }}
                {%- if graph.sources[id].source_name != 'loader' %} and table_name = '{{ table }}' {%- endif %}
        )
    {%- else -%}
        {%- set slice = graph.nodes[id] -%}
        '{{ slice.name }} ' || obj_description(to_regclass('{{ schema_read(slice) }}.{{ slice.alias }}'), 'pg_class')
    {%- endif -%}
{%- endmacro -%}

{#- The data tests of all that a node derives from: nodes of dbt's graph. -#}
{%- macro audits_before(node) -%}
    {%- set ancestors = [] -%}
    {%- for id in node.depends_on.nodes -%} {%- do _collect_ancestors(id, ancestors) -%} {%- endfor -%}
    {%- set audits = [] -%}
    {%- for test in graph.nodes.values() if test.depends_on.nodes | select('in', ancestors) | list and is_audit(test) -%}
        {%- do audits.append(test) -%}
    {%- endfor -%}
    {{ return(audits) }}
{%- endmacro -%}

{%- macro _collect_ancestors(id, ancestors) -%}
    {%- if id not in ancestors -%}
        {%- do ancestors.append(id) -%}
        {%- for parent in graph.nodes.get(id, {}).get('depends_on', {}).get('nodes', []) -%}
            {%- do _collect_ancestors(parent, ancestors) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}

{#-
    SQL: a text that names the data tests of all that the node derives from which have not passed on the present content;
    null where all have. A test that reads raw tables alone counts only if it failed on the loaded file. It need not have run
    on that file: load_month may be cleared alone after the test, and it writes rows and log in one transaction.
-#}
{%- macro audits_not_passed(node) -%}
    (
        select nullif(concat_ws(
            '; ',
            'failed: ' || string_agg(needed.name, ', ' order by needed.name) filter (where not noted.passed),
            'not run on these rows: ' || string_agg(needed.name, ', ' order by needed.name) filter (where noted.passed is null)
        ), '')
        {%- set contents, of_own_slices = {}, [] %}
        from (values
            (null, null, null, false)
            {%- for audit in audits_before(node) %},
            {%- set ids = input_ids(audit) %}
            {%- set slices = ids | reject('in', graph.sources) | list %}
            {%- if is_dev() and reads_own(slices) %} {%- do of_own_slices.append(audit.unique_id) %} {%- endif %}
            ('{{ audit.name }}', '{{ audit.unique_id }}', {{ content_of_all(ids, contents) }}, {{ slices | length > 0 }})
            {%- endfor %}
        ) as needed (name, audit, inputs, reads_slices)
        left join {{ verdicts(of_own_slices) }} as noted
            on noted.source_month = {{ source_month() }} and noted.audit = needed.audit and noted.inputs = needed.inputs
        where coalesce(not noted.passed, needed.reads_slices)
    )
{%- endmacro -%}
