{#-
    What TLC's codes mean, a table for each: the column of the code, the column of its meaning, and the meanings, in the
    words of TLC's data dictionaries of trip records (yellow and green, 2025-03-18).
    https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page
-#}
{%- macro tlc_codes() -%}
    {{ return({
        'dim_vendors': ('vendor_id', 'vendor', {
            1: 'Creative Mobile Technologies, LLC', 2: 'Curb Mobility, LLC', 6: 'Myle Technologies Inc', 7: 'Helix',
        }),
        'dim_rate_codes': ('rate_code_id', 'rate', {
            1: 'Standard rate', 2: 'JFK', 3: 'Newark', 4: 'Nassau or Westchester', 5: 'Negotiated fare',
            6: 'Group ride', 99: 'Null/unknown',
        }),
        'dim_payment_types': ('payment_type_id', 'payment_type', {
            0: 'Flex Fare trip', 1: 'Credit card', 2: 'Cash', 3: 'No charge', 4: 'Dispute', 5: 'Unknown',
            6: 'Voided trip',
        }),
        'dim_trip_types': ('trip_type_id', 'trip_type', {1: 'Street-hail', 2: 'Dispatch'}),
    }) }}
{%- endmacro -%}

{#- SQL: makes the tables of codes, and replaces their rows; a reader sees the old ones or the new ones. -#}
{%- macro tables_of_codes(schema) -%}
    {%- for table, (code, meaning, meanings) in tlc_codes().items() %}
    create table if not exists {{ schema }}.{{ table }} ({{ code }} bigint primary key, {{ meaning }} text not null);
    delete from {{ schema }}.{{ table }};
    insert into {{ schema }}.{{ table }} values
        {%- for id, words in meanings.items() %} ({{ id }}, '{{ words }}'){{ ',' if not loop.last }}{% endfor %};
    comment on table {{ schema }}.{{ table }} is 'What TLC''s codes in {{ code }} mean, in its data dictionary''s words.';
    {%- endfor %}
{%- endmacro -%}
