{#-
    New columns of a published table, in a transaction of their own: two months that add them at once would wait for each
    other, as each has read the table before, and the second would find the columns there. None is removed.
-#}
{%- macro postgres__alter_relation_add_remove_columns(relation, add_columns, remove_columns) -%}
    {%- if add_columns -%}
        {%- set added = [] -%}
        {%- for column in add_columns -%}
            {%- do added.append('add column if not exists ' ~ column.quoted ~ ' ' ~ column.expanded_data_type) -%}
        {%- endfor -%}
        {%- do run_query('commit; alter table ' ~ relation ~ ' ' ~ added | join(', ') ~ '; commit') -%}
    {%- endif -%}
{%- endmacro -%}
