{#-
    SQL condition: none of the amounts exceeds what a taxi ride can cost, in dollars. Nulls pass; NaN and infinity do
    not.
-#}
{%- macro all_possible(amounts) -%}
    coalesce(greatest(abs({{ amounts | join('), abs(') }})) < {{ var('highest_amount_dollars') }}, true)
{%- endmacro -%}

{#-
    SQL: a double as numeric, whose sums do not depend on the order of rows. Postgres keeps 15 digits of it. That rounds
    the largest doubles up to what no double can hold, and they could not be cast back. Such a double becomes the
    largest number of 15 digits that a double can hold.

    Whole cents go by way of an integer, as the cast of a double prints it and reads the text. Eleven columns of 3.5
    million rows took 22 s of CPU by the cast, 11 s by the integer, and 3 s without either.
-#}
{%- macro exact(column) -%}
    case
        when abs({{ column }}) < 1e13 and ({{ column }} * 100)::bigint / 100::double precision = {{ column }}
            then ({{ column }} * 100)::bigint * 0.01
        when abs({{ column }}) > 1.79769313486231e308 and abs({{ column }}) < 'infinity'
            then sign({{ column }})::numeric * 1.79769313486231e308
        else {{ column }}::numeric
    end
{%- endmacro -%}
