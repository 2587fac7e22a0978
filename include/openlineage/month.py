"""The month of a run, as facets."""

from __future__ import annotations

from typing import Any

from include.month import Month
from include.support.timezone import default_timezone


def month_facets(month: Month) -> dict[str, Any]:
    """The month as the run's nominal time, and as its tag.

    Airflow's provider puts the run's data interval in place of this nominal time, where the run has one.
    """
    from openlineage.client.facet_v2 import nominal_time_run, tags_run

    first, following = (each.start_in(default_timezone()).isoformat() for each in (month, month.plus(1)))
    tag = tags_run.TagsRunFacetFields(key="month", value=str(month), source="AIRFLOW")
    return {"nominalTime": nominal_time_run.NominalTimeRunFacet(first, following), "tags": tags_run.TagsRunFacet([tag])}
