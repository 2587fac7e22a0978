{#-
    Published rows that are not in the audited slice, and the other way round. Whole rows are compared; of a table with
    source_month, those of the requested month. Returns nothing if the file was loaded anew since.
    The slice is named, not referred to: Cosmos runs a test in the group of every model it refers to.
-#}
{% test published_as_audited(model) %}
    {%- if execute %}
    {%- set meta = mart_named(model.identifier).config.meta %}
    {%- set columns = adapter.get_columns_in_relation(model) | map(attribute='name')
        | reject('in', meta.beside_slice | default([])) | list %}
    {%- set monthly = 'source_month' in columns %}
    {%- set audited_table = require_table(run_schema(), meta.slice) %}
    {%- set published = 'select ' ~ columns | join(', ') ~ ' from ' ~ model ~ (' where source_month = ' ~ source_month() if monthly) %}
    {%- set audited = 'select ' ~ columns | join(', ') ~ ' from ' ~ audited_table ~ ' where ' ~ meta.rows | default('true') %}
    select * from (
        ({{ published }} except all {{ audited }})
        union all
        ({{ audited }} except all {{ published }})
    ) as differing
    where {{ is_current(audited_table, whole_file_beside(audited_table, mart_named(model.identifier)) if monthly) }}
    {%- endif %}
{% endtest %}
