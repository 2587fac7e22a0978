{#- SQL condition: no column exceeds what a taxi ride can cost, in dollars. Nulls pass; NaN and infinity do not. -#}
{%- macro all_possible(amounts) -%}
    {#- 2026-11-25: sixty times the highest amount of six real months, 1,622.60 -#}
    coalesce(greatest({% for each in amounts %}abs({{ each }}){{ ', ' if not loop.last }}{% endfor %}) < 100000, true)
{%- endmacro -%}

{#-
    SQL: a double as numeric, whose sums do not depend on the order of rows. Postgres keeps 15 digits of it, by which the
    largest doubles are rounded up to what no double can hold, and could not be cast back.

    Whole cents go by way of an integer: the cast of a double prints and reads it. Eleven columns of 3.5 million rows took
    22 s of CPU by the cast, and 11 s so (3 s without either).
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
