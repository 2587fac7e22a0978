{#-
    SQL condition: every slice that the node derives from was made by the version of the code that runs now. It is false
    where that version is not known, and where a part of the month was made before a deployment, and a part after it.
-#}
{%- macro made_by_present_code(node) -%}
    {%- if not execute or not code_version() -%} {{ return('false') }} {%- endif -%}
    {%- set ancestors, conditions = [], ['true'] -%}
    {%- for id in node.depends_on.nodes -%} {%- do _collect_ancestors(id, ancestors) -%} {%- endfor -%}
    {%- for id in ancestors if id in graph.nodes and graph.nodes[id].schema != target.schema
        and graph.nodes[id].config.materialized not in ('view', 'ephemeral') -%}
        {%- do conditions.append('coalesce(' ~ comment_of(graph.nodes[id]) ~ " like '%" ~ made_by() ~ "', false)") -%}
    {%- endfor -%}
    {{ return(conditions | join(' and ')) }}
{%- endmacro -%}
