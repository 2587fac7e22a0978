select {{ columns_of_contract() }}
from {{ ref('int_zone_days') }}
