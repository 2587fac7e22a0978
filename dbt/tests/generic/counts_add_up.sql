{#- Months whose counts of rows, or sums of money, do not add up. -#}
{% test counts_add_up(model) %}
    select
        *,
        concat_ws(
            '; ',
            case
                when rows_in_file <> rows_accepted + rows_rejected
                    then format(
                        'the file has %s rows, and %s are accepted and %s rejected',
                        rows_in_file, rows_accepted, rows_rejected
                    )
            end,
            case
                when total_amount_in_file <> total_amount_accepted + total_amount_rejected
                    then format(
                        'the amounts of the file are %s, those of accepted trips %s, of rejected rows %s',
                        total_amount_in_file, total_amount_accepted, total_amount_rejected
                    )
            end,
            case
                when rows_rejected <> rejected_value_missing + rejected_pickup_outside_window
                    + rejected_dropoff_before_pickup + rejected_distance_impossible + rejected_amount_impossible
                    then format('%s rows are rejected, and the counts of the reasons have another sum', rows_rejected)
            end
        ) as why
    from {{ model }}
    where rows_in_file <> rows_accepted + rows_rejected
        or rows_rejected <> rejected_value_missing + rejected_pickup_outside_window
            + rejected_dropoff_before_pickup + rejected_distance_impossible + rejected_amount_impossible
        or total_amount_in_file <> total_amount_accepted + total_amount_rejected
{% endtest %}
