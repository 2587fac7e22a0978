{#-
    Post-hook of slices: a slice's comment says what it holds, as the number of rows and a hash of them all. It is written in
    the transaction that makes the table, and goes with it. Equal rows give equal comments. (`comment` takes no expression,
    hence the block.)
-#}
{%- macro note_content() -%}
    {%- if model.config.materialized not in ('view', 'ephemeral') -%}
    do $$
    declare
        content text;
    begin
        select count(*) || ' rows, ' || coalesce(sum(hash_record_extended(slice, 0)), 0) into content from {{ this }} as slice;
        execute format('comment on table {{ this }} is %L', content);
    end $$
    {%- endif -%}
{%- endmacro -%}

{#-
    SQL: the name of a slice, and what its comment says; of a raw table, the files that it holds for the month; of load_log,
    all files. Null where it is not there.
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

{#-
    SQL: the same of several, by their ids, as one text; null where one is. `known` holds the SQL of those that were asked for
    before, as a publication spends its CPU on macro calls: a dictionary, to which this adds.
-#}
{%- macro contents_of(ids, known) -%}
    {%- set contents = [] -%}
    {%- for id in ids -%}
        {%- if id not in known -%} {%- do known.update({id: content_of(id) | trim}) -%} {%- endif -%}
        {%- do contents.append(known[id]) -%}
    {%- endfor -%}
    {{ return(contents | join(" || '; ' || ")) }}
{%- endmacro -%}
