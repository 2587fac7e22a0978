{#-
    The new rows of a published table are a temporary view, not a table, so that they are not written twice. A model
    that reads its own table gets dbt's temporary table: it needs the rows as they were before any is deleted.
-#}
{%- macro postgres__get_create_table_as_sql(temporary, relation, sql) -%}
    {%- if not temporary or config.get('incremental_strategy') != 'replace_slice' or this.identifier ~ '"' in sql -%}
        {{ return(create_table_as(temporary, relation, sql)) }}
    {%- endif -%}
    {%- do get_assert_columns_equivalent(sql) -%}
    create temporary view {{ relation }} as ({{ sql }})
{%- endmacro -%}
