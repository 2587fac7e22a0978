{#- The node of a model, in dbt's graph. -#}
{%- macro model_named(name) -%}
    {{ return(graph.nodes['model.' ~ project_name ~ '.' ~ name]) }}
{%- endmacro -%}

{#- Whether a node is an audit: a data test that reads no published table. -#}
{%- macro is_audit(node) -%}
    {%- if node.resource_type != 'test' or not node.depends_on.nodes -%} {{ return(false) }} {%- endif -%}
    {%- for id in node.depends_on.nodes if id in graph.nodes and graph.nodes[id].schema == target.schema -%}
        {{ return(false) }}
    {%- endfor -%}
    {{ return(true) }}
{%- endmacro -%}

{#- The audits of all that a node derives from, as nodes. -#}
{%- macro audits_before(node) -%}
    {%- set ancestors, audits = [], [] -%}
    {%- for id in node.depends_on.nodes -%} {%- do _collect_ancestors(id, ancestors) -%} {%- endfor -%}
    {%- for test in graph.nodes.values()
        if test.depends_on.nodes | select('in', ancestors) | list and is_audit(test) -%}
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

{#- The slices and raw tables that a node reads, directly or through views: their ids. -#}
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
