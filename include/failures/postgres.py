"""What Postgres answers while it is out of order: whether that heals by itself, and which entry of the runbook helps.

One table for all that ask: tasks of the loader, of dbt and of maintenance, messages, the page of months.
docs/reference/postgres-answers.md shows it. Imports no dbt, as the api-server loads this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from include.alerts.runbook import FULL, LOCKED, POSTGRES, SETTING, TIME, Entry


@dataclass(frozen=True)
class Answer:
    """`states`: a pattern of whole SQLSTATEs, which are the same in every language.

    Empty: for failures without an SQLSTATE, as libpq gives none where it could not connect. `words`: a pattern that
    occurs in the message, in any case; empty: whatever it says. `meaning`: for people, in a few words.
    """

    states: str
    words: str
    heals: bool
    entry: Entry
    meaning: str

    def fits(self, sqlstate: str | None, words: str) -> bool:
        state_fits = re.fullmatch(self.states, sqlstate or "") is not None
        return state_fits and re.search(self.words, words, re.IGNORECASE) is not None


# The first that fits counts. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html. pgbouncer gives
# 08P01 for all that it says itself. libpq comes without translations, so the words of the last rows are English.
ANSWERS = (
    Answer("08...", "", True, POSTGRES, "the connection broke; a pooler is full, or has lost its server"),
    Answer("25006", "", True, FULL, "read-only: a failover, or a managed server whose disk is nearly full"),
    Answer("25P03|57P05", "", True, POSTGRES, "a session that did nothing for too long was ended"),
    Answer("40001|40P01", "", True, LOCKED, "another session changed the same rows; a deadlock"),
    Answer("53[0-2]..", "", True, FULL, "the disk is full, or the memory"),
    Answer("533..", "", True, POSTGRES, "no connection is left"),
    Answer("53...", "", False, FULL, "a limit that somebody set, such as temp_file_limit: it is hit again"),
    Answer("55P03", "", True, LOCKED, "a lock was not free in time"),
    Answer("57014", "due to user request", False, TIME, "somebody cancelled the statement"),
    Answer("57014|25P04", "", True, TIME, "statement_timeout or transaction_timeout: the server was slow"),
    Answer("57P0[123]", "", True, POSTGRES, "the server shuts down, has crashed or starts"),
    Answer("57P04|3D000|28...", "", False, SETTING, "the database is gone; the login is refused"),
    Answer("58P..", "", False, FULL, "a file of the server is missing, or in the way"),
    Answer("58...", "", True, FULL, "the server cannot read or write its disk"),
    Answer("XX00[12]", "", False, FULL, "a table or an index is damaged"),
    Answer("XX...", "", True, FULL, "an internal error, as where two sessions change the catalogue at once"),
    # These come first: a host name may stand for two addresses (localhost, a cluster), of which one does not listen,
    # and the other answers that the password is wrong.
    Answer(
        "",
        "certificate|does not support SSL|password authentication failed|no pg_hba.conf entry"
        "|(database|role) .*not exist",
        False,
        SETTING,
        "the login or the certificate is refused; the database is not there",
    ),
    Answer(
        "",
        "session is (not )?read-only|server is (not )?in hot standby mode",
        True,
        FULL,
        "target_session_attrs finds no server to write to: a failover",
    ),
    Answer(
        "",
        "|".join(
            (
                r"connection (refused|reset|timed out)|timeout expired|no route to host|network is unreachable",
                r"temporary failure in name resolution|could not (receive|send) data|broken pipe",
                r"unexpected eof while reading|EOF detected|server closed the connection|terminating connection",
                r"connection (already|is|was|not|has been) (closed|lost)|connection not open",
                r"no connection to the server",
                r"database system is (starting up|shutting down|in recovery mode|not yet accepting)",
                r"too many (clients|connections)|remaining connection slots",
                # pgbouncer's
                r"no more connections allowed|cannot connect to server|server conn crashed|query_wait_timeout",
            )
        ),
        True,
        POSTGRES,
        "no connection: the server or its pooler is away, starts, or is full",
    ),
)


def answer_to(sqlstate: str | None, words: str) -> Answer | None:
    """The row for a failure with this SQLSTATE (None: it has none) and these words; None: Postgres is in order."""
    return next((each for each in ANSWERS if each.fits(sqlstate, words)), None)
