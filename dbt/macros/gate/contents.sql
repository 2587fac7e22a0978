{#-
    Post-hook of slices: a slice's comment says what it holds, the number of rows and a hash of them all, and then the
    version of the code that made it, where that is given. It is written in the transaction that makes the table, and
    goes when the table goes. Equal rows made by the same code give equal comments.

    `comment on` takes no expression, hence the PL/pgSQL.
-#}
{%- macro note_content() -%}
    {%- if model.config.materialized not in ('view', 'ephemeral') -%}
    {%- set columns = adapter.get_columns_in_relation(this) if execute else [] -%}
    do $$
    declare
        content text;
    begin
        select count(*) || ' rows, ' || coalesce(sum({{ hash_of_row('slice', columns) }}), 0)
        into content
        from {{ this }} as slice;

        execute format('comment on table {{ this }} is %L', content {{- " || '" ~ made_by() ~ "'" if code_version() }});
    end $$
    {%- endif -%}
{%- endmacro -%}

{#-
    SQL: a 64-bit hash of a row that has these columns. Postgres leaves the sign of a numeric out of its hash (18.4), and
    a reversal would have that of its charge; so a hash of the signs is the seed.
-#}
{%- macro hash_of_row(row, columns) -%}
    {%- set signs = [] -%}
    {%- for column in columns if column.is_numeric() -%} {%- do signs.append(row ~ '.' ~ column.quoted ~ ' < 0') -%} {%- endfor -%}
    hash_record_extended({{ row }}, {{ 'hash_record_extended(row(' ~ signs | join(', ') ~ '), 0)' if signs else 0 }})
{%- endmacro -%}

{#- SQL: the comment of a slice, null where it is not there. -#}
{%- macro comment_of(slice) -%}
    obj_description(to_regclass('{{ schema_read(slice) }}.{{ slice.alias }}'), 'pg_class')
{%- endmacro -%}

{#-
    SQL: what the slice or raw table of this id holds now. Of a slice, its name, number of rows and hash, null where it is
    not there; of a raw table, the files that it holds for the month, null where it holds none; of load_log, all files.
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
        '{{ slice.name }} ' || split_part({{ comment_of(slice) }}, '{{ made_by("") }}', 1)
    {%- endif -%}
{%- endmacro -%}

{#-
    SQL: the contents of several, as one text; null where one of them is null. `known` is a dictionary that keeps the
    SQL of each id for the next call: a publication asks for the same few again and again, and spends its CPU on macro
    calls.
-#}
{%- macro contents_of(ids, known) -%}
    {%- set contents = [] -%}
    {%- for id in ids -%}
        {%- if id not in known -%} {%- do known.update({id: content_of(id) | trim}) -%} {%- endif -%}
        {%- do contents.append(known[id]) -%}
    {%- endfor -%}
    {{ return(contents | join(" || '; ' || ")) }}
{%- endmacro -%}
