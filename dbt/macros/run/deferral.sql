{#- Whether --defer makes this node read another schema than the run's own. -#}
{%- macro reads_deferred_tables() -%}
    {%- set own = run_schema() -%}
    {%- for id in model.depends_on.nodes if id in graph.nodes and graph.nodes[id].schema != target.schema -%}
        {%- if ref(graph.nodes[id].name).schema != own -%} {{ return(true) }} {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro -%}

{#- The schema that a node's rows are read from: its own, or the one that --defer has dbt read instead. -#}
{%- macro schema_read(node) -%}
    {%- if node.defer_relation and node.unique_id not in selected_resources and (
        invocation_args_dict.favor_state or adapter.get_relation(node.database, node.schema, node.alias) is none
    ) -%}
        {{ return(node.defer_relation.schema) }}
    {%- endif -%}
    {{ return(node.schema) }}
{%- endmacro -%}

{#- Whether this run reads one of these slices, given by their ids, where it builds it, and not where --defer says. -#}
{%- macro reads_own(slices) -%}
    {%- for id in slices if schema_read(graph.nodes[id]) == graph.nodes[id].schema -%} {{ return(true) }} {%- endfor -%}
    {{ return(false) }}
{%- endmacro -%}
