"""The catalogue of spoilings: ways in which a month's file can be wrong, and what becomes of each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tests.support.spoilings import rows, types, units, values
from tests.support.spoilings.expected import Expected, Spoiling, harmless, marked, missed, red, refused

HOUR, DAY = units.HOUR, units.DAY
YEAR, SECOND = np.timedelta64(365, "D"), np.timedelta64(1, "s")

_MISSING = {
    "the first ten days only": (rows.without_days(11, 31), red("no_day_is_without_pickups")),
    "without the first half of days": (rows.without_days(1, 15), red("no_day_is_without_pickups")),
    "without the last half of days": (rows.without_days(16, 31), red("no_day_is_without_pickups")),
    "without the last three days": (rows.without_days(29, 31), red("no_day_is_without_pickups")),
    "without the last day": (rows.without_days(31, 31), red("no_day_is_without_pickups")),
    "without three days": (rows.without_days(13, 15), red("no_day_is_without_pickups")),
    "without one day": (rows.without_days(17, 17), red("no_day_is_without_pickups")),
    "without a day's hours from noon on": (
        rows.without_hours_of_day(17, 12),
        missed("The day is as poor as one in a blizzard."),
    ),
    "without an hour of each day, 18 h": (rows.without_hour(18), red("no_hour_is_without_pickups")),
    "without an hour of each day, 4 h": (rows.without_hour(4), red("no_hour_is_without_pickups")),
    "without the commonest vendor": (rows.without_commonest("VendorID"), red("no_vendor_has_all_rides")),
    "without the second vendor": (rows.without_second_commonest("VendorID"), red("no_vendor_has_all_rides")),
    "without the commonest pickup zone": (
        rows.without_commonest("PULocationID"),
        missed("No figure says which zones there are."),
    ),
    "without the commonest payment type": (rows.without_commonest("payment_type"), red("cards_and_cash_are_used")),
    "every second row": (rows.every_second_row, marked("unpaired_reversals")),
    "the first half of the file": (rows.first_half, red("no_day_is_without_pickups")),
    "the second half of the file": (rows.second_half, red("richest_day_is_plausible")),
    "without a tenth of the rows, at random": (
        rows.without_a_tenth,
        marked("unpaired_reversals"),
    ),
    "the first 2,000 rows": (rows.first_rows(2_000), red("no_day_is_without_pickups")),
    "without the block of rows without details": (
        rows.without_the_block,
        missed("Months of yellow taxis had no such block until 2018."),
    ),
    "the block of rows without details alone": (rows.only_the_block, red("reject_share_is_plausible")),
    "without the reversals": (rows.without_reversals, missed("Months of yellow taxis have as few.")),
    "no rows": (rows.no_rows, refused("holds no rows")),
}
_MORE = {
    "every row twice": (rows.twice, red("rows_are_not_repeated")),
    "2 % of the rows twice": (rows.a_share_twice(0.02), red("rows_are_not_repeated")),
    "0.2 % of the rows twice": (rows.a_share_twice(0.002), red("rows_are_not_repeated")),
    "every row twice, the second time in another order": (rows.twice_in_another_order, red("rows_are_not_repeated")),
    "every row twice, the second time a cent more": (rows.twice_with_other_cents, red("rides_are_not_repeated")),
    "every row twice, the second time a second later": (
        rows.twice_a_second_later,
        missed("No two rows are of the same ride. With true neighbours, `trips_a_day` marks it."),
    ),
    "one day twice": (rows.a_day_twice, red("rows_are_not_repeated")),
    "another dataset's file": (rows.another_datasets_file, refused("lacks required column(s)")),
    "another month's file": (rows.another_months_file, red("pickups_are_of_the_month")),
    "5 % of rows more, of another month": (rows.with_rows_of_another_month(0.05), red("pickups_are_of_the_month")),
    "0.5 % of rows more, of another month": (
        rows.with_rows_of_another_month(0.005),
        missed("Up to 1 % of the pickups may be of other months."),
    ),
    "another month's trips at this month's dates": (
        rows.another_months_trips_with_this_months_dates,
        red("no_day_is_without_pickups"),
    ),
    "the rows in another order": (rows.in_another_order, harmless("Nothing depends on the order of rows.")),
}
_UNITS = {
    "amounts in cents": (units.times_factor(100, digits=0), red("fare_a_mile_is_plausible")),
    "fares alone in cents": (units.times_factor(100, "fare_amount", digits=0), red("fare_a_mile_is_plausible")),
    "amounts a hundredth": (units.times_factor(0.01), red("fare_a_mile_is_plausible")),
    "amounts in another currency, 0.92 of a dollar": (
        units.times_factor(0.92),
        missed("Fares differ by more from month to month."),
    ),
    "distances in kilometres": (
        units.times_factor(1.609344, "trip_distance"),
        marked("median_miles", "median_speed"),
    ),
    "distances in metres": (units.times_factor(1609.344, "trip_distance", digits=0), red("reject_share_is_plausible")),
    "durations in minutes for seconds": (units.durations_times(60), red("duration_is_plausible")),
    "durations in seconds for minutes": (units.durations_times(1 / 60), red("duration_is_plausible")),
    "times in UTC": (units.in_utc, red("night_is_at_night")),
    "times an hour late": (units.later(HOUR), red("night_is_at_night")),
    "times an hour early": (
        units.later(-HOUR),
        missed("The quietest hour and the median one differ by nearly as much from month to month."),
    ),
    "times an hour late from the tenth day on": (
        units.later(HOUR, from_day=10),
        missed("The quietest hour and the median one differ by nearly as much from month to month."),
    ),
    "pickups alone an hour early": (units.only_pickups_later(-HOUR), red("duration_is_plausible")),
    "times twelve hours late": (units.later(12 * HOUR), red("pickups_are_of_the_month")),
    "times a day late": (units.later(DAY), red("pickups_are_of_the_month")),
    "times a year early": (units.later(-YEAR), red("pickups_are_of_the_month", "reject_share_is_plausible")),
    "years of two digits": (
        units.in_years_of_two_digits,
        red("pickups_are_of_the_month", "reject_share_is_plausible"),
    ),
    "day and month swapped": (
        units.day_and_month_swapped,
        red("pickups_are_of_the_month", "reject_share_is_plausible"),
    ),
    "a 12-hour clock": (units.on_a_12_hour_clock, red("reject_share_is_plausible")),
    "pickups without time of day": (units.pickups_at_midnight, red("no_hour_is_without_pickups")),
    "both times without time of day": (units.both_times_at_midnight, red("no_hour_is_without_pickups")),
    "times in whole hours": (units.in_whole("h"), red("rides_take_time")),
    "times in whole minutes": (units.in_whole("m"), marked("without_duration")),
}
_VALUES = {
    "one vendor in every row": (values.constant(2, "VendorID"), red("no_vendor_has_all_rides")),
    "one passenger in every row that has a number": (values.one_value(1, "passenger_count"), red("passengers_differ")),
    "one distance in every row": (values.constant(2.5, "trip_distance"), red("fares_go_with_distances")),
    "one fare in every row": (values.constant(10.0, "fare_amount"), red("fares_go_with_distances")),
    "one total in every row": (values.constant(12.0, "total_amount"), red("totals_are_the_sum_of_their_parts")),
    "one pickup zone in every row": (values.constant(74, "PULocationID"), red("no_zone_has_most_pickups")),
    "one payment type in every row that has one": (values.one_value(1, "payment_type"), red("cards_and_cash_are_used")),
    "one rate code in every row that has one": (values.one_value(1, "RatecodeID"), red("rates_differ")),
    "every pickup at the same moment": (values.pickups_all_the_same, red("no_day_is_without_pickups")),
    "distances 0": (values.constant(0.0, "trip_distance"), red("distances_are_known")),
    "fares 0": (values.constant(0.0, "fare_amount"), red("fare_a_mile_is_plausible")),
    "tips 0": (values.constant(0.0, "tip_amount"), red("some_rides_are_tipped")),
    "tolls 0": (values.constant(0.0, "tolls_amount"), red("some_rides_have_a_toll")),
    "totals 0": (values.constant(0.0, "total_amount"), red("total_is_plausible")),
    "surcharges and taxes 0": (
        values.constant(0.0, "mta_tax", "improvement_surcharge"),
        red("totals_are_the_sum_of_their_parts"),
    ),
    "no passenger count": (values.null("passenger_count"), red("details_go_together")),
    "no rate code": (values.null("RatecodeID"), red("details_go_together")),
    "no payment type": (values.null("payment_type"), red("cards_and_cash_are_used")),
    "no vendor": (values.null("VendorID"), red("no_vendor_has_all_rides")),
    "no flag": (values.null("store_and_fwd_flag"), red("details_go_together")),
    "no congestion surcharge": (
        values.null("congestion_surcharge"),
        marked("totals_off"),
    ),
    "no extra": (values.null("extra"), marked("totals_off")),
    "no total": (values.null("total_amount"), red("reject_share_is_plausible")),
    "no total in 0.5 % of rows": (
        values.null("total_amount", share=0.005),
        missed("The rows are rejected, and 1 % may be."),
    ),
    "no tip": (values.null("tip_amount"), red("reject_share_is_plausible")),
    "no drop-off zone": (values.null("DOLocationID"), red("reject_share_is_plausible")),
    "no pickup times": (values.no_pickups, red("reject_share_is_plausible")),
    "fares negated": (values.negated("fare_amount"), red("signs_agree")),
    "totals negated": (values.negated("total_amount"), red("signs_agree")),
    "tips negated": (values.negated("tip_amount"), red("signs_agree")),
    "all amounts negated": (values.negated(), red("reversals_are_few")),
    "all amounts without sign": (values.without_sign, red("rows_are_not_repeated")),
    "pickup times a row off": (values.times_a_row_off("pickup"), red("reject_share_is_plausible")),
    "both times a row off": (values.times_a_row_off("pickup", "dropoff"), red("durations_go_with_distances")),
    "distances a row off": (values.a_row_off("trip_distance"), red("fares_go_with_distances")),
    "fares a row off": (values.a_row_off("fare_amount"), red("fares_go_with_distances")),
    "totals a row off": (values.a_row_off("total_amount"), red("totals_are_the_sum_of_their_parts")),
    "tips a row off": (values.a_row_off("tip_amount"), red("tips_are_paid_by_card")),
    "pickup zones a row off": (values.a_row_off("PULocationID"), marked("unpaired_reversals")),
    "passenger counts a row off": (
        values.a_row_off("passenger_count"),
        missed("Nothing else in a row tells how many passengers there were."),
    ),
    "vendors a row off": (values.a_row_off("VendorID"), marked("unpaired_reversals")),
    "payment types a row off": (values.a_row_off("payment_type"), red("tips_are_paid_by_card")),
    "pickup and drop-off zones swapped": (values.swapped(*values.ZONES), marked("commonest_pickup_zone_share")),
    "pickup and drop-off times swapped": (values.times_swapped, red("reject_share_is_plausible")),
    "fare and extra swapped": (values.swapped("fare_amount", "extra"), red("fare_a_mile_is_plausible")),
    "fare and total swapped": (values.swapped("fare_amount", "total_amount"), red("totals_are_the_sum_of_their_parts")),
    "tips and tolls swapped": (values.swapped("tip_amount", "tolls_amount"), red("some_rides_have_a_toll")),
    "distance and passengers swapped": (values.swapped("trip_distance", "passenger_count"), refused("passenger_count")),
    "rate code and payment type swapped": (
        values.swapped("RatecodeID", "payment_type"),
        marked("paid_by_card", "standard_rate"),
    ),
    "drop-offs at the time of pickup": (values.drop_offs_at_the_pickup, red("rides_take_time")),
    "amounts in whole dollars": (values.whole_dollars, red("totals_have_cents")),
    "distances in whole miles": (values.whole_miles, red("distances_have_fractions")),
    "flags cut to no letter": (values.one_value("", "store_and_fwd_flag"), red("codes_are_known")),
    "vendors encoded: 1,000 more": (values.plus(1000, "VendorID"), red("codes_are_known")),
    "payment types encoded: tenfold": (values.times(10, "payment_type"), red("codes_are_known")),
    "zones by other numbers": (values.zones_by_other_numbers, missed("No figure says which zones there are.")),
    "every zone unknown, 264": (values.constant(264, *values.ZONES), red("no_zone_has_most_pickups")),
    "every zone 0": (values.constant(0, *values.ZONES), red("int_trips_judged_pickup_zones_resolve")),
    "zones counted on from 265": (values.plus(265, *values.ZONES), red("int_trips_judged_pickup_zones_resolve")),
}
_TYPES = {
    "ids as text": (types.cast(pa.string(), *types.IDS), harmless()),
    "ids as doubles": (types.cast(pa.float64(), *types.IDS), harmless()),
    "ids with a fraction": (types.plus_a_half, refused("pulocationid")),
    "times as text, ISO 8601": (types.times_as_text("%Y-%m-%dT%H:%M:%S"), harmless()),
    "times as text, American": (types.times_as_text("%m/%d/%Y %I:%M:%S %p"), refused("datetime")),
    "times in nanoseconds": (types.times_as(pa.timestamp("ns")), harmless()),
    "times in milliseconds": (types.times_as(pa.timestamp("ms")), harmless()),
    "times in seconds": (types.times_as(pa.timestamp("s")), harmless()),
    "times as numbers": (types.times_as(pa.int64()), refused("without time zone, or text, is needed")),
    "times with a time zone": (
        types.times_as(pa.timestamp("us", "UTC")),
        refused("without time zone, or text, is needed"),
    ),
    "amounts as decimals": (types.cast(pa.decimal128(18, 2)), harmless()),
    "amounts as text": (types.cast(pa.string()), harmless()),
    "amounts as text with a dollar sign": (types.money_as_text("${}"), refused("fare_amount")),
    "amounts in single precision": (types.cast(pa.float32()), red("trips_fit_the_contract_of_fct_trips")),
    "distances in single precision": (
        types.cast(pa.float32(), "trip_distance"),
        red("trips_fit_the_contract_of_fct_trips"),
    ),
    "columns by dictionary": (types.dictionaries("VendorID", "PULocationID", "store_and_fwd_flag"), harmless()),
    "a column renamed": (types.renamed("PULocationID", "pickup_zone"), refused("lacks required column(s)")),
    "a column less": (types.without("tolls_amount"), refused("lacks required column(s)")),
    "a column more": (types.with_a_new_column, harmless("It is kept in extra_columns, and reported.")),
    "a column twice, in capitals": (types.with_a_column_twice, refused("names a column twice when lower-cased")),
    "names in capitals": (types.in_upper_case, harmless()),
    "columns in another order": (types.columns_in_another_order, harmless("Columns are known by their names.")),
}
_KINDS = {"rows missing": _MISSING, "rows more": _MORE, "units": _UNITS, "values": _VALUES, "types": _TYPES}
# What becomes of a generated month where it is something else.
_ON_SAMPLE: dict[str, Expected] = {
    "without the commonest pickup zone": marked("trips_a_day"),
    "the first half of the file": marked("trips_a_day"),
    "the second half of the file": marked("trips_a_day"),
    "the first 2,000 rows": marked("trips_a_day"),
    "the block of rows without details alone": marked("without_details"),
    "every row twice, the second time a second later": marked("trips_a_day"),
    "a 12-hour clock": red("no_hour_is_without_pickups"),
    "times an hour late": missed("Its quietest hour is one before the bound."),
    "times in whole minutes": missed("None of its trips is shorter than a minute."),
    "all amounts without sign": missed("Its reversals have another payment type than their charges."),
    "pickup zones a row off": red("trips_within_a_zone_are_short"),
}

SPOILINGS = {
    name: Spoiling(name, kind, spoil, expected, _ON_SAMPLE.get(name, expected))
    for kind, catalogue in _KINDS.items()
    for name, (spoil, expected) in catalogue.items()
}
