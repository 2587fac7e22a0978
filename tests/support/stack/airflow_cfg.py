"""The settings in config/airflow.cfg."""

from __future__ import annotations

from configparser import ConfigParser

from include.settings import ROOT

Settings = dict[tuple[str, str], str]


def settings_of(text: str) -> Settings:
    """Of a text in the form of airflow.cfg, by section and key."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return {(section, key): value for section in parser.sections() for key, value in parser.items(section)}


PROJECT = settings_of((ROOT / "config/airflow.cfg").read_text())
