select {{ columns_of_contract() }}
from {{ ref('int_trips_judged') }}
where rejection_reason is null
