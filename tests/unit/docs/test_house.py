"""The picture of the packages shows the imports there are."""

from __future__ import annotations

from tests.support.house import DOCUMENT, PICTURE, pictures


def test_the_picture_of_the_packages_shows_their_imports_and_layers():
    assert PICTURE.findall(DOCUMENT.read_text()) == pictures(), "draw it anew: python -m tests.support.house"
