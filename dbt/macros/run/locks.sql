{#-
    SQL: waits for the lock of that name, and holds it until the transaction ends. Each published schema has locks of
    its own: that of the run, or the one that is given.
-#}
{%- macro advisory_lock(name, schema=none) -%}
    select pg_advisory_xact_lock(hashtextextended('{{ schema or target.schema }}/{{ name }}', 0))
{%- endmacro -%}
