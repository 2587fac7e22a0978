"""The console that the commands print to. What a terminal's encoding lacks is printed in plainer characters."""

import codecs
import io
import sys
import unicodedata

from rich.console import Console

# One character each, so that the columns of a table stay below each other. `*` has a meaning in the ledger.
PLAINER = dict(zip("✓✗○▶…≠·•–—‘’“”×─━│→", "vxo>~#.+--''\"\"x--|>", strict=True))  # noqa: RUF001


def _in_plainer_characters(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: a letter without its accent, `?` for what has nothing plainer."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = (PLAINER.get(each) or unicodedata.normalize("NFKD", each) for each in error.object[error.start : error.end])
    return "".join(each.encode("ascii", "ignore").decode() or "?" for each in plain), error.end


codecs.register_error("plainer", _in_plainer_characters)
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="plainer")

# Numbers and paths stay uncoloured; links and error messages are not wrapped at a width that is guessed in CI.
console = Console(highlight=False, soft_wrap=True)
