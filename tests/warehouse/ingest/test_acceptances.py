"""Who may accept what: an audit of what is plausible, that has failed on the file that is loaded, before he asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.alerts.runbook import AUDIT
from include.datasets import GREEN
from include.failures.retry import heals
from include.ingest.acceptances import NotAccepted, accept
from include.ingest.load import load_month
from include.ingest.rebuild import loaded_files
from include.ledger.queries import connect, figures_by_month
from include.runs.acceptance import Acceptance
from tests.support.documents import shows
from tests.support.helpers import JANUARY, SCHEMA
from tests.support.postgres.warehouse_content import query

ODD, QUEER, PROTECTS = "share_is_plausible", "sum_is_plausible", "rows_are_unique"
# as the manifest names them
AUDITS = {ODD: f"test.taxi.{ODD}.0123abcd", QUEER: f"test.taxi.{QUEER}.4567abcd", PROTECTS: None}
LOG = f"select split_part(audit, '.', 3), inputs, passed, accepted_by, reason from {SCHEMA}.audit_log order by 1, 2"


@pytest.fixture
def loaded(dsn: str, tlc: TlcMirror) -> Callable[[int], str]:
    """Loads a version of January: `file <sha256>`, as the audits write it."""
    write_zones(tlc.folder)

    def load(version: int) -> str:
        write_month(tlc.folder, str(JANUARY), 60, version)
        [trips, _] = load_month(GREEN, JANUARY, tlc.address, dsn, SCHEMA, "a run")
        return f"file {trips['sha256']}"

    return load


def judge(dsn: str, file: str, audit: str | None = AUDITS[ODD], passed: bool = False) -> None:
    """What the audit writes down when it is run."""
    insert = f"insert into {SCHEMA}.audit_log values (%s, %s, %s, %s, now())"
    query(dsn, insert, JANUARY.first_day, audit or f"test.taxi.{PROTECTS}.89abcdef", file, passed)


def asked(*audits: str, by: str = "ana", reason: str = "a flood", ago: timedelta = timedelta()) -> Acceptance:
    return Acceptance(audits or (ODD,), reason, datetime.now(UTC) - ago, by)


def run(dsn: str, asked: Acceptance, audits: dict[str, str | None] = AUDITS) -> None:
    accept(GREEN, JANUARY, dsn, SCHEMA, asked, audits)


def test_what_has_failed_on_the_loaded_file_is_accepted_with_who_when_and_why(dsn, loaded):
    file = loaded(1)
    for audit in (ODD, QUEER):
        judge(dsn, file, AUDITS[audit])
    by_ana = asked(ODD, QUEER)
    run(dsn, by_ana)
    expected = [(audit, file, True, "ana", "a flood") for audit in (ODD, QUEER)]
    assert query(dsn, LOG) == expected
    assert query(dsn, f"select distinct judged_at from {SCHEMA}.audit_log") == [(by_ana.asked_at,)]
    # who came first has let the month through, whoever asks again
    run(dsn, by_ana)
    run(dsn, asked(by="ben", reason="as Ana says"))
    assert query(dsn, LOG) == expected


def failed_on_another_file(dsn: str, loaded: Callable[[int], str]) -> None:
    judge(dsn, loaded(1))
    loaded(2)


REFUSED = {
    "no audit has this name": (
        lambda dsn, loaded: judge(dsn, loaded(1)),
        lambda: asked("shares_are_plausible"),
        f"shares_are_plausible is no audit. Those that may be accepted: {ODD}, {QUEER}",
    ),
    "it guards the tables": (
        lambda dsn, loaded: judge(dsn, loaded(1), None),
        lambda: asked(PROTECTS),
        f"{PROTECTS} may not be accepted, as it guards the tables themselves",
    ),
    "it was not run": (lambda dsn, loaded: loaded(1), asked, f"{ODD} has not failed on the file "),
    "it passes": (
        lambda dsn, loaded: judge(dsn, loaded(1), passed=True),
        asked,
        "there is nothing to accept",
    ),
    "it failed on another file": (failed_on_another_file, asked, "Where another file was judged, or an earlier"),
    "it failed with another bound": (
        lambda dsn, loaded: judge(dsn, loaded(1), f"test.taxi.{ODD}.00000000"),
        asked,
        "has not failed on the file ",
    ),
    "it failed since, on a file that nobody has looked at": (
        lambda dsn, loaded: judge(dsn, loaded(1)),
        lambda: asked(ago=timedelta(hours=1)),
        "after this run was triggered",
    ),
    "another one did not fail": (
        lambda dsn, loaded: judge(dsn, loaded(1)),
        lambda: asked(ODD, QUEER),
        f"{QUEER} has not failed",
    ),
}


@pytest.mark.parametrize(("prepare", "asks", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_accepted_is_refused_with_what_to_do_and_changes_nothing(dsn, loaded, prepare, asks, says):
    prepare(dsn, loaded)
    before = query(dsn, LOG)
    with pytest.raises(NotAccepted) as refusal:
        run(dsn, asks())
    assert says in str(refusal.value)
    assert str(refusal.value).startswith("green 2024-01: ")
    assert str(refusal.value).endswith("Nothing was changed.")
    assert query(dsn, LOG) == before
    assert not heals(refusal.value)
    if "has not failed" in says:
        shows(AUDIT.heading, "… has not failed on the file …", str(refusal.value))


def test_a_run_that_is_cleared_accepts_no_other_file_and_goes_on(dsn, loaded, caplog):
    first = loaded(1)
    judge(dsn, first)
    by_ana = asked()
    run(dsn, by_ana)
    second = loaded(2)
    judge(dsn, second)
    run(dsn, by_ana)
    assert f"this run has accepted {ODD} for the {first} ({AUDITS[ODD]}). The {second} is loaded now" in caplog.text
    assert sorted(query(dsn, LOG), key=str) == sorted(
        [(ODD, first, True, "ana", "a flood"), (ODD, second, False, None, None)], key=str
    )
    # nor does it fail where the audit has another bound since, or is no more
    run(dsn, by_ana, {ODD: f"test.taxi.{ODD}.00000000"})
    run(dsn, by_ana, {})


def test_a_log_of_an_earlier_revision_gains_the_columns(dsn, loaded):
    judge(dsn, loaded(1))
    query(dsn, f"alter table {SCHEMA}.audit_log drop accepted_by, drop reason")
    loaded_files(GREEN, JANUARY, dsn, SCHEMA)
    run(dsn, asked())
    assert [row[2:] for row in query(dsn, LOG)] == [(True, "ana", "a flood")]
    query(dsn, f"alter table {SCHEMA}.audit_log drop accepted_by, drop reason")
    loaded(1)
    assert [row[2:] for row in query(dsn, LOG)] == [(True, None, None)]


def test_the_ledger_knows_what_failed_and_what_was_accepted_before_any_month_was_published(dsn, loaded):
    file = loaded(1)
    judge(dsn, file)
    judge(dsn, file, AUDITS[QUEER], passed=True)

    def odd() -> list[tuple[str, str, str | None, str | None]]:
        with connect(dsn) as connection:
            found = figures_by_month(connection, GREEN, SCHEMA)[JANUARY]["odd"]
        return [(each["audit"], f"file {each['sha256']}", each["by"], each["reason"]) for each in found]

    assert odd() == [(AUDITS[ODD], file, None, None)]
    run(dsn, asked())
    assert odd() == [(AUDITS[ODD], file, "ana", "a flood")]
