{#-
    The SQL conditions under which the contract of a mart refuses a row of its slice, by column and by check. The
    primary key is left out. Fails for a type or a constraint that is not known here.
-#}
{%- macro refused_by(mart) -%}
    {%- set refused = {} -%}
    {%- for column in mart.columns.values() if column.name not in mart.config.meta.beside_slice | default([]) -%}
        {%- set conditions = refused_values(mart, column) -%}
        {%- if conditions -%} {%- do refused.update({column.name: conditions | join(' or ')}) -%} {%- endif -%}
    {%- endfor -%}
    {%- for constraint in mart.constraints if constraint.type == 'check' -%}
        {%- do refused.update({constraint.expression: 'not (' ~ constraint.expression ~ ')'}) -%}
    {%- endfor -%}
    {%- for type in mart.constraints | map(attribute='type') if type not in ['check', 'primary_key'] -%}
        {{ not_known(mart, 'constraint ' ~ type, 'use check or primary_key') }}
    {%- endfor -%}
    {{ return(refused) }}
{%- endmacro -%}

{#- The conditions on the values of one column. -#}
{%- macro refused_values(mart, column) -%}
    {%- set name, type, conditions = column.name, column.data_type, [] -%}
    {#- these take every value that a slice's column of the same kind can have -#}
    {%- set without_bounds = [
        'text', 'boolean', 'date', 'numeric', 'timestamp without time zone', 'timestamp with time zone'
    ] -%}
    {%- set numeric = modules.re.match('numeric\\((\\d+), *(\\d+)\\)', type) -%}
    {%- set bits = {'smallint': 15, 'integer': 31, 'bigint': 63}.get(type) -%}
    {%- for constraint in column.constraints | map(attribute='type') if constraint != 'not_null' -%}
        {{ not_known(mart, 'constraint ' ~ constraint ~ ' of column ' ~ name, 'declare it for the table') }}
    {%- endfor -%}

    {%- if 'not_null' in column.constraints | map(attribute='type') -%}
        {%- do conditions.append(name ~ ' is null') -%}
    {%- endif -%}
    {%- if numeric -%}
        {%- set digits, scale = numeric.group(1) | int, numeric.group(2) | int -%}
        {%- do conditions.append('abs(' ~ name ~ ') >= ' ~ 10 ** (digits - scale)) -%}
        {%- do conditions.append('min_scale(' ~ name ~ ') > ' ~ scale) -%}
    {%- elif bits -%}
        {%- do conditions.append(name ~ ' not between ' ~ -(2 ** bits) ~ ' and ' ~ (2 ** bits - 1)) -%}
    {%- elif type == 'double precision' -%}
        {%- do conditions.append('abs(' ~ name ~ ') > 1.79769313486231e308 and abs(' ~ name ~ ") < 'infinity'") -%}
    {%- elif type not in without_bounds -%}
        {{ not_known(mart, 'type ' ~ type ~ ' of column ' ~ name, 'use numeric(p, s), bigint or text') }}
    {%- endif -%}
    {{ return(conditions) }}
{%- endmacro -%}

{%- macro not_known(mart, what, instead) -%}
    {{ exceptions.raise_compiler_error(
        'The contract of ' ~ mart.name ~ ' has the ' ~ what ~ ', and no audit knows what it refuses: ' ~ instead
        ~ ', or teach it to dbt/macros/values/contracts.sql.'
    ) }}
{%- endmacro -%}

{#-
    SQL: the columns of this mart's contract, as they are selected from its slice. A number becomes a double where the
    contract says so, and nothing else is cast. While dbt parses, it does not know the contract yet.
-#}
{%- macro columns_of_contract() -%}
    {%- if not execute -%} {{ return('*') }} {%- endif -%}
    {%- set selected = [] -%}
    {%- for column in model.columns.values() -%}
        {%- set cast = '::double precision as ' ~ column.name if column.data_type == 'double precision' else '' -%}
        {%- do selected.append(column.name ~ cast) -%}
    {%- endfor -%}
    {{ return(selected | join(',\n        ')) }}
{%- endmacro -%}

{#- The types that the contract of a mart declares, by column, in its order. -#}
{%- macro types_of(mart, without=[]) -%}
    {%- set types = {} -%}
    {%- for column in mart.columns.values() if column.name not in without -%}
        {%- do types.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro -%}

{#-
    SQL: the columns of the slice that have another type than in the mart's contract, but for a number that becomes a
    double. dbt compares them too, where it makes the mart: after the audits, and after other marts were published.
-#}
{%- macro columns_of_another_type(slice, mart) -%}
    select
        declared.name,
        format('%s in {{ slice.identifier }}, %s in {{ mart.name }}', format_type(found.atttypid, null), declared.type),
        null
    from {{ beside_their_types(types_of(mart, without=mart.config.meta.beside_slice | default([])), slice) }}
    where found.atttypid <> declared.type::regtype and declared.type <> 'double precision'
{%- endmacro -%}

{#- SQL: a text that names the columns of a mart's table that have another type than in its contract; null if none has. -#}
{%- macro columns_to_alter(table, mart) -%}
    select string_agg(
        format('%s is %s, and the contract says %s', declared.name, format_type(found.atttypid, found.atttypmod), type),
        '; '
    )
    from {{ beside_their_types(types_of(mart), table) }}
    where found.atttypid <> declared.type::regtype
        -- a column that dbt has appended is numeric, without digits, and holds all that the contract allows
        or (found.atttypmod >= 0 and format_type(found.atttypid, found.atttypmod) <> replace(declared.type, ', ', ','))
{%- endmacro -%}

{#- SQL: the declared types, by column, and beside each the column of that name in the table. -#}
{%- macro beside_their_types(types, table) -%}
    (
        values {% for name, type in types.items() %}('{{ name }}', '{{ type }}'){{ ', ' if not loop.last }}{% endfor %}
    ) as declared (name, type)
    inner join pg_attribute as found
        on found.attrelid = '{{ table }}'::regclass and found.attname = declared.name
{%- endmacro -%}

{#- The columns of a published table's primary key; fails where it has none. -#}
{%- macro primary_key_of(mart) -%}
    {%- for constraint in mart.constraints if constraint.type == 'primary_key' -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error(
        mart.name ~ ' declares no primary key, by which its rows are compared: add one.'
    ) }}
{%- endmacro -%}
