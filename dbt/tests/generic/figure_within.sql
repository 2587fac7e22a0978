{#-
    One row, if the figure is below `at_least` or above `at_most`, or is not known. `means`: what that says of the file;
    the value of the column `beside` follows it. Of fewer rows than `of_rows` nothing is said: chance decides their shares.
-#}
{% test figure_within(model, column_name, means, at_least=none, at_most=none, beside=none, of_rows=1000) %}
    {{ config(meta={'may_be_accepted': true}) }}
    {%- set bounds = [] -%}
    {%- if at_least is not none -%} {%- do bounds.append('at least ' ~ at_least) -%} {%- endif -%}
    {%- if at_most is not none -%} {%- do bounds.append('at most ' ~ at_most) -%} {%- endif %}
    select
        source_month, rows_profiled, {{ column_name }},
        concat(
            '{{ column_name | replace('_', ' ') }}: ', coalesce(trim_scale({{ column_name }}::numeric)::text, 'not known'),
            ', {{ bounds | join(' and ') }}: {{ means | replace("'", "''") }}'
            {%- if beside %}, ' ', {{ beside }} {%- endif %}
        ) as why
    from {{ model }}
    where rows_profiled >= {{ of_rows }}
        and not coalesce({{ column_name }}::numeric between {{ at_least if at_least is not none else "'-infinity'::numeric" }}
            and {{ at_most if at_most is not none else "'infinity'::numeric" }}, false)
{% endtest %}
