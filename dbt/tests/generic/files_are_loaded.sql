{#- Those of these raw tables that load_log has no file for, neither of the requested month nor of all months. -#}
{% test files_are_loaded(model, tables) %}
    select needed.table_name
    from (values {% for table in tables %}('{{ table }}'){{ ', ' if not loop.last }}{% endfor %}) as needed (table_name)
    where needed.table_name not in (select table_name from {{ model }})
{% endtest %}
