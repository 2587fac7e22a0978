{#- Values that occur more than once in these columns together. -#}
{% test unique_together(model, columns) %}
    {{ repeated(model, 'true', columns) }}
{% endtest %}
