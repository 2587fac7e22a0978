{#-
    A test also commits, as its statement may have written down a verdict, and logs the first rows that failed. Where
    they have a column `why`, the first one's is logged before them, on a line of its own (include/transform/dbt_log.py).
    Before it stands who has accepted that it fails.
-#}
{%- materialization test, adapter='postgres' -%}
    {%- set relations = materialization_test_default() -%}
    {%- do adapter.execute('commit', auto_begin=false, fetch=false) -%}
    {%- set found = load_result('main').table.rows[0] -%}
    {%- if found.failures -%}
        {%- if model.config.meta.may_be_accepted and not found.should_error -%}
            {%- set accepted = run_query('select ' ~ told_of_acceptances([model])).rows[0][0] -%}
            {%- if accepted -%} {%- do log(accepted, info=True) -%} {%- endif -%}
        {%- endif -%}
        {%- set failing = run_query('select * from (' ~ sql ~ ') as failing limit 5') -%}
        {%- do log(model.name ~ ': ' ~ model.description | replace('\n', ' ') | trim, info=True) -%}
        {%- if 'why' in failing.column_names -%} {%- do log('  why: ' ~ failing.rows[0].why, info=True) -%} {%- endif -%}
        {%- for row in failing.rows -%}
            {%- set values = [] -%}
            {%- for name in failing.column_names if name != 'why' -%} {%- do values.append(name ~ '=' ~ row[name]) -%} {%- endfor -%}
            {%- do log('  ' ~ values | join(', '), info=True) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(relations) }}
{%- endmaterialization -%}
