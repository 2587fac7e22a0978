{#- One row for the month, if more than `share` (0 to 1) of its rows are rejected. -#}
{% test reject_share_at_most(model, share) %}
    select count(*) as rows, count(rejection_reason) as rejected
    from {{ model }}
    having count(rejection_reason) > {{ share }} * count(*)
{% endtest %}
