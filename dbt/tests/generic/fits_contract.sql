{#-
    The values of the rows to be published that a mart's contract refuses: null, too large or too fine for the column's
    type, against a check, or a key that occurs twice. And the columns of another type than the contract's.
    The mart is named, not referred to: Cosmos runs a test in the group of every model it refers to.
-#}
{% test fits_contract(model, mart) %}
    {%- if execute %}
    {%- set contract = model_named(mart) %}
    {%- set rows = contract.config.meta.rows | default('true') %}
    select
        refused.*,
        case
            when types ? column_name and of_row is null then format('column %s is %s', column_name, value)
            when types ? column_name and value is null then column_name || ' is null, which {{ mart }} refuses'
            when types ? column_name
                then format('%s = %s does not fit {{ mart }}, where it is %s', column_name, value, types ->> column_name)
            when value is null then 'a row breaks the check of {{ mart }}: ' || column_name
            else format('the %s of {{ mart }} occurs more than once: %s', column_name, value)
        end as why
    from (
    {{ values_where(model, rows, refused_by(contract)) }}
    {%- for constraint in contract.constraints if constraint.type == 'primary_key' %}
    {%- set key = constraint.columns | join(', ') %}
    union all
    select 'primary key ({{ key }})', concat_ws(', ', {{ key }}), null
    from ({{ repeated(model, rows, constraint.columns) }}) as repeated
    {%- endfor %}
    union all
    {{ columns_of_another_type(model, contract) }}
    ) as refused
    cross join (values ('{{ tojson(types_of(contract)) }}'::jsonb)) as contract (types)
    {%- endif %}
{% endtest %}
