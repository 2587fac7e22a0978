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

{#- The columns of a published table's primary key; fails where it has none. -#}
{%- macro primary_key_of(mart) -%}
    {%- for constraint in mart.constraints if constraint.type == 'primary_key' -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error(
        mart.name ~ ' declares no primary key, by which its rows are compared: add one.'
    ) }}
{%- endmacro -%}
