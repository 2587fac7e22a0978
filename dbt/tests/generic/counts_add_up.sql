{#- Months whose counts of rows, or sums of money, do not add up. -#}
{% test counts_add_up(model) %}
    select * from {{ model }}
    where rows_in_file <> rows_accepted + rows_rejected
        or rows_rejected <> rejected_value_missing + rejected_pickup_outside_window
            + rejected_dropoff_before_pickup + rejected_distance_impossible + rejected_amount_impossible
        or total_amount_in_file <> total_amount_accepted + total_amount_rejected
{% endtest %}
