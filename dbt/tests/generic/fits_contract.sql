{#-
    The values of the rows to be published that a mart's contract refuses: null, too large or too fine for the column's
    type, against a check, or a key that occurs twice. And the columns of another type than the contract's.
    The mart is named, not referred to: Cosmos runs a test in the group of every model it refers to.
-#}
{% test fits_contract(model, mart) %}
    {%- if execute %}
    {%- set contract = model_named(mart) %}
    {%- set rows = contract.config.meta.rows | default('true') %}
    {{ values_where(model, rows, refused_by(contract)) }}
    {%- for constraint in contract.constraints if constraint.type == 'primary_key' %}
    {%- set key = constraint.columns | join(', ') %}
    union all
    select 'primary key ({{ key }})', concat_ws(', ', {{ key }}), null
    from ({{ repeated(model, rows, constraint.columns) }}) as repeated
    {%- endfor %}
    union all
    {{ columns_of_another_type(model, contract) }}
    {%- endif %}
{% endtest %}
