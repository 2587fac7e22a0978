{#- Accepted rows' values in these columns that two decimals do not hold. -#}
{% test whole_cents(model, columns) %}
    {%- set conditions = {} %}
    {%- for each in columns %} {%- do conditions.update({each: each ~ ' <> round(' ~ each ~ ', 2)'}) %} {%- endfor %}
    {{ values_where(model, 'rejection_reason is null', conditions) }}
{% endtest %}
