{#- The node of a model, in dbt's graph. -#}
{%- macro model_named(name) -%}
    {{ return(graph.nodes['model.' ~ project_name ~ '.' ~ name]) }}
{%- endmacro -%}

{#- The columns of a published table's primary key; fails where it has none. -#}
{%- macro primary_key_of(mart) -%}
    {%- for constraint in mart.constraints if constraint.type == 'primary_key' -%} {{ return(constraint.columns) }} {%- endfor -%}
    {{ exceptions.raise_compiler_error(mart.name ~ ' declares no primary key, by which its rows are compared: add one.') }}
{%- endmacro -%}

{#- Types that take every value a slice's column of the same kind can have. -#}
{%- macro types_without_bounds() -%}
    {{ return([
        'text', 'boolean', 'date', 'numeric', 'timestamp without time zone', 'timestamp with time zone'
    ]) }}
{%- endmacro -%}

{#-
    For each column of a slice, the SQL condition under which the contract of the mart made from it refuses a value; the
    same for each check. Keys are left out. Fails for a type or a constraint that is not known here.
-#}
{%- macro refused_by(mart) -%}
    {%- set refused = {} -%}
    {%- for column in mart.columns.values() if column.name not in mart.config.meta.beside_slice | default([]) -%}
        {%- set name, conditions = column.name, [] -%}
        {%- set numeric = modules.re.match('numeric\\((\\d+), *(\\d+)\\)', column.data_type) -%}
        {%- set bits = {'smallint': 15, 'integer': 31, 'bigint': 63}.get(column.data_type) -%}
        {%- for type in column.constraints | map(attribute='type') if type != 'not_null' -%}
            {{ not_known(mart, 'constraint ' ~ type ~ ' of column ' ~ name, 'declare it for the table') }}
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
        {%- elif column.data_type == 'double precision' -%}
            {%- do conditions.append('abs(' ~ name ~ ') > 1.79769313486231e308 and abs(' ~ name ~ ") < 'infinity'") -%}
        {%- elif column.data_type not in types_without_bounds() -%}
            {{ not_known(mart, 'type ' ~ column.data_type ~ ' of column ' ~ name, 'use numeric(p, s), bigint or text') }}
        {%- endif -%}
        {%- if conditions -%} {%- do refused.update({name: conditions | join(' or ')}) -%} {%- endif -%}
    {%- endfor -%}
    {%- for constraint in mart.constraints if constraint.type == 'check' -%}
        {%- do refused.update({constraint.expression: 'not (' ~ constraint.expression ~ ')'}) -%}
    {%- endfor -%}
    {%- for type in mart.constraints | map(attribute='type') if type not in ['check', 'primary_key'] -%}
        {{ not_known(mart, 'constraint ' ~ type, 'use check or primary_key') }}
    {%- endfor -%}
    {{ return(refused) }}
{%- endmacro -%}

{%- macro not_known(mart, what, instead) -%}
    {{ exceptions.raise_compiler_error(
        'The contract of ' ~ mart.name ~ ' has the ' ~ what ~ ', and no audit knows what it refuses: ' ~ instead
        ~ ', or teach it to dbt/macros/contracts.sql.'
    ) }}
{%- endmacro -%}

{#- SQL: one row for each row of the table and each of the named conditions that is true of it, with the column's value. -#}
{%- macro values_where(table, rows, conditions) -%}
    select found.column_name, to_jsonb(failing) ->> found.column_name as value, to_jsonb(failing) as of_row
    from (
        select * from {{ table }}
        where ({{ rows }}) and (false {%- for condition in conditions.values() %} or {{ condition }} {%- endfor %})
    ) as failing
    cross join lateral (values
        (null, false) {%- for name, condition in conditions.items() %},
        ('{{ name | replace("'", "''") }}', {{ condition }})
        {%- endfor %}
    ) as found (column_name, is_true)
    where found.is_true
{%- endmacro -%}

{#-
    SQL: the values of these columns together that occur more than once. It groups by them only where none of the columns
    is unique alone, which takes a fifth of the time to see (3.5 million integers).
-#}
{%- macro repeated(table, rows, columns) -%}
    select {{ columns | join(', ') }}, count(*) as rows
    from {{ table }}
    where ({{ rows }}) and (
        select count(*) > greatest({% for each in columns %}count(distinct {{ each }}){{ ', ' if not loop.last }}{% endfor %})
        from {{ table }} where {{ rows }}
    )
    group by {{ columns | join(', ') }}
    having count(*) > 1
{%- endmacro -%}
