select {{ columns_of_contract() }}
from {{ ref('int_month_profile') }}
