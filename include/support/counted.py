"""Numbers before the nouns that they count."""

from __future__ import annotations


def counted(number: int | None, noun: str) -> str:
    """`1 month`, `0 months`, `3,456 months`; of a number that is not known, `an unknown number of months`.

    `noun`: the singular, whose plural ends in -s.
    """
    return f"{'an unknown number of' if number is None else f'{number:,}'} {noun}{'' if number == 1 else 's'}"
