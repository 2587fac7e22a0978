{#-
    Fails, before anything runs, where the selected models or tests read a table of the run's own schema that is not
    there. Most often the schema was dropped after its month was published.
-#}
{%- macro require_upstream_tables() -%}
    {%- if not execute -%} {{ return('') }} {%- endif -%}
    {%- for id in selected_resources if id in graph.nodes -%}
        {%- for upstream in graph.nodes[id].depends_on.nodes
            if upstream.startswith('model.') and upstream not in selected_resources -%}
            {%- set node = graph.nodes[upstream] -%}
            {%- do require_table(schema_read(node), node.alias) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro -%}

{#- The table as a relation; fails where it is not there. -#}
{%- macro require_table(schema, name) -%}
    {%- set table = adapter.get_relation(target.database, schema, name) -%}
    {%- if execute and table is none -%}
        {{ exceptions.raise_compiler_error(
            schema ~ '.' ~ name ~ ' is not there: the run schema was dropped, or its models have not run. '
            ~ whole_month_again()
        ) }}
    {%- endif -%}
    {{ return(table) }}
{%- endmacro -%}
