{#-
    SQL: of the table's rows, each value that meets one of the conditions, with its row. `conditions` are named by the
    column that they are about; one that is about no single column has no value.
-#}
{%- macro values_where(table, rows, conditions) -%}
    select found.column_name, to_jsonb(failing) ->> found.column_name as value, to_jsonb(failing) as of_row
    from (
        select * from {{ table }}
        where ({{ rows }}) and (false {%- for condition in conditions.values() %} or {{ condition }} {%- endfor %})
    ) as failing
    cross join lateral (values
        (null, false) {%- for name, condition in conditions.items() %},
        ('{{ name | replace("'", "''") }}', {{ condition }})
        {%- endfor %}
    ) as found (column_name, is_true)
    where found.is_true
{%- endmacro -%}

{#-
    SQL: the values that these columns have together in more than one row. Where one of the columns is unique alone,
    there are none, and the table is not grouped: to see that takes a fifth of the time (3.5 million integers).
-#}
{%- macro repeated(table, rows, columns) -%}
    select {{ columns | join(', ') }}, count(*) as rows
    from {{ table }}
    where ({{ rows }}) and (
        select count(*) > greatest(count(distinct {{ columns | join('), count(distinct ') }}))
        from {{ table }} where {{ rows }}
    )
    group by {{ columns | join(', ') }}
    having count(*) > 1
{%- endmacro -%}
