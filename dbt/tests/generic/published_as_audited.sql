{#-
    Published rows that are not in the audited slice, and the other way round. Whole rows are compared; of a table with
    source_month, those of the requested month; of a row, the columns of the contract. Returns nothing if the file was
    loaded anew since.
    The slice is named, not referred to: Cosmos runs a test in the group of every model it refers to.
-#}
{% test published_as_audited(model) %}
    {%- if execute %}
    {%- set mart = model_named(model.identifier) %}
    {%- set meta = mart.config.meta %}
    {#- the contract's, not the table's: that keeps a column which the contract has no more -#}
    {%- set columns = mart.columns | reject('in', meta.beside_slice | default([])) | list %}
    {%- set monthly = 'source_month' in columns %}
    {%- set keys = primary_key_of(mart) %}
    {%- set audited_table = require_table(schema_read(model_named(meta.slice)), meta.slice) %}
    {%- set whole = whole_file_beside(audited_table, mart) if monthly %}
    {#- not by `except`: Postgres may keep all its rows in memory (0.8 GB for 3 million, whatever work_mem says) -#}
    select {{ keys | join(', ') }}, to_jsonb(published) as published, to_jsonb(audited) as audited
    from (
        select {{ columns | join(', ') }} from {{ model }}
        {%- if monthly %} where source_month = {{ source_month() }} {%- endif %}
    ) as published
    full join (
        select {{ columns | join(', ') }} from {{ audited_table }} where {{ meta.rows | default('true') }}
    ) as audited using ({{ keys | join(', ') }})
    where {{ is_current(audited_table, whole) }}
        and (
            published.{{ keys[0] }} is null or audited.{{ keys[0] }} is null
            {%- for column in columns if column not in keys %}
            or published.{{ column }} is distinct from audited.{{ column }}
            {%- endfor %}
        )
    {%- endif %}
{% endtest %}
