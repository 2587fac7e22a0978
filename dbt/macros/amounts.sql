{#- SQL condition: no column exceeds what a taxi ride can cost, in dollars. Nulls pass; NaN and infinity do not. -#}
{%- macro all_possible(amounts) -%}
    {#- 2026-11-25: sixty times the highest amount of six real months, 1,622.60 -#}
    coalesce(greatest({% for each in amounts %}abs({{ each }}){{ ', ' if not loop.last }}{% endfor %}) < 100000, true)
{%- endmacro -%}

{#-
    SQL: a double as numeric, whose sums do not depend on the order of rows. Postgres keeps 15 digits of it, by which the
    largest doubles are rounded up to what no double can hold, and could not be cast back.
-#}
{%- macro exact(column) -%}
    (case when abs({{ column }}) > 1.79769313486231e308 and abs({{ column }}) < 'infinity'
        then sign({{ column }}) * 1.79769313486231e308 else {{ column }} end)::numeric
{%- endmacro -%}
