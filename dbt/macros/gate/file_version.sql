{#-
    SQL condition: the slice was made from a version of the file that its raw table holds now. Every slice carries the
    file_id of the load that it was made from. A slice without rows counts as made from the same version as `whole`. If
    that has no rows either, the condition is true: the publication then fails, as `whole` has fewer rows than the file.
-#}
{%- macro is_current(slice, whole=none) -%}
    coalesce(
        coalesce(
            (select file_id from {{ slice }} limit 1)
            {%- if whole %}, (select file_id from {{ whole }} limit 1) {%- endif %}
        ) in (select file_id from {{ load_log() }}),
        true
    )
{%- endmacro -%}

{#- The slice that has a row for each row of the month's file: by the mart's configuration, else this slice itself. -#}
{%- macro whole_file_beside(slice, mart) -%}
    {%- if not mart.config.meta.whole_file -%} {{ return(slice) }} {%- endif -%}
    {%- set whole = model_named(mart.config.meta.whole_file) -%}
    {{ return(slice.incorporate(path={'schema': schema_read(whole), 'identifier': whole.alias})) }}
{%- endmacro -%}
