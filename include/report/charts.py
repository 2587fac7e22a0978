"""Draws the charts of a month's report, each as an `<svg>` for an HTML page that has others too."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, Literal
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from pandas import Series

from include.report.figures import MonthFigures
from include.report.wording import borough_label, count, per_cent, tip_labels, zone_labels

WIDTH = 10.0  # inches
# Okabe and Ito's colours, which the colour-blind tell apart; lines differ in their dashes too
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#595959"
TEXT, QUIET, GRID, WEEKEND = "#1a202c", "#4a5568", "#dfe3e8", "#f0f2f5"
SETTINGS: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a `$` in a zone's name is a `$`
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib; each text names all that are given
    "font.size": 9,
    "text.color": TEXT,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "grid.color": GRID,
    "legend.frameon": False,
}
THIS: Any = {"color": BLUE, "linewidth": 2.2, "marker": "o", "markersize": 3.5}
BEFORE: Any = {"color": VERMILION, "linestyle": "--", "linewidth": 1.4}
YEAR_BEFORE: Any = {"color": GREY, "linestyle": ":", "linewidth": 1.6}
SHARES = 10  # classes of the heat grid's colour
LONGEST_LABEL = 60  # characters
FEW = 20  # trips on a borough's busiest day below which a share says little: the grid has the numbers themselves
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
PER_CENT = FuncFormatter(lambda value, _: f"{value:.0f} %")
NAMESPACE = "{http://www.w3.org/2000/svg}"


def days_chart(figures: MonthFigures) -> str:
    """Accepted trips by day of the month, beside those of the earlier months that are published."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        month = figures.month.month
        after = figures.days[month].count() + 1
        for saturday in range(6 - month.first_day.weekday(), after, 7):  # 0: before a month begun on Sunday
            weekend = max(saturday, 1) - 0.5, min(saturday + 2, after) - 0.5
            axes.axvspan(*weekend, color=WEEKEND, linewidth=0, zorder=0)
        for which, style in ((month.plus(-12), YEAR_BEFORE), (month.plus(-1), BEFORE), (month, THIS)):
            if which in figures.days:
                trips = figures.days[which].dropna()
                axes.plot(trips.index, trips, label=str(which), **style)
        weekends = Patch(color=WEEKEND, label=f"Saturdays and Sundays of {month}")
        axes.legend(
            handles=[*axes.get_lines()[::-1], weekends],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=4,
            borderaxespad=0.3,
        )
        axes.set_xlim(0.5, 31.5)
        axes.set_xticks(range(1, 32))
        axes.set_xlabel("Day of the month")
        axes.set_ylabel("Accepted trips")
        _counts_from_zero(axes, "y")

    return _svg("days", 3.5, draw)


def zones_chart(figures: MonthFigures) -> str:
    """Accepted trips by pickup zone, of the zones that have most."""
    return _bars("zones", zone_labels(figures.zones), figures.zones.trips, figures.month.rows_accepted)


def payments_chart(figures: MonthFigures) -> str:
    """Accepted trips by payment type."""
    return _bars("payments", figures.payments.index, figures.payments.trips, figures.month.rows_accepted)


def grid_chart(figures: MonthFigures) -> str:
    """Accepted trips by borough and day, as shares of the borough's busiest day; as numbers where they are FEW."""
    trips = figures.boroughs.T
    busiest = trips.max(axis="columns")
    shares = trips.where(trips > 0).where(busiest >= FEW, axis="index").div(busiest, axis="index")
    colours = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.1, 1, SHARES)))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        cells = axes.pcolormesh(
            np.arange(trips.shape[1] + 1) + 0.5,
            np.arange(len(trips) + 1) - 0.5,
            np.ma.masked_invalid(shares),
            cmap=colours,
            norm=BoundaryNorm(np.linspace(0, 1, SHARES + 1), SHARES),
            clip_on=False,
            edgecolors="white",
            linewidth=1,
        )
        axes.invert_yaxis()
        axes.set_yticks(range(len(trips)), [borough_label(borough) for borough in trips.index])
        axes.set_xticks(range(1, trips.shape[1] + 1))
        axes.set_xlabel("Day of the month")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        right = axes.get_xlim()[1]
        axes.text(right + 3, -0.75, "Busiest day", ha="right", va="bottom", color=QUIET)
        axes.text(right + 7, -0.75, "Month", ha="right", va="bottom", color=QUIET)
        for row, (borough, by_day) in enumerate(trips.iterrows()):
            axes.text(right + 3, row, count(busiest[borough]), ha="right", va="center")
            axes.text(right + 7, row, count(by_day.sum()), ha="right", va="center")
            if busiest[borough] < FEW:
                for day, number in enumerate(by_day, start=1):
                    axes.text(day, row, str(number or ""), ha="center", va="center", color=QUIET)
        bar = figure.colorbar(cells, ax=axes, orientation="horizontal", aspect=50, shrink=0.5)
        steps = np.linspace(0, 1, SHARES // 2 + 1)
        bar.ax.set_xticks(steps, [f"{100 * step:.0f} %" for step in steps])
        bar.set_label("Trips of the day, as a share of the borough's busiest day (white: no trip)")

    return _svg("grid", 1.4 + 0.27 * len(trips), draw)


def tips_chart(figures: MonthFigures) -> str:
    """Trips paid by card by the tip's share of the fare, as shares of these trips."""
    shares = 100 * figures.tips.trips / figures.tips.trips.sum()

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        bars = axes.bar(tip_labels(), shares, color=BLUE, width=0.8)
        axes.bar_label(bars, [f"{share:.1f} %" for share in shares], padding=2)
        axes.set_xlabel("Tip as a share of the fare (upper bound not included)")
        axes.set_ylabel("Share of these trips")
        axes.set_ylim(0, 1.1 * max(shares))
        axes.yaxis.set_major_formatter(PER_CENT)
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)

    return _svg("tips", 3.2, draw)


def _bars(name: str, labels: Iterable[str], trips: Series, of_trips: int) -> str:
    """Horizontal bars, the first on top, each with its number and its share of all accepted trips."""
    short = [textwrap.shorten(label, LONGEST_LABEL, placeholder="…") for label in labels]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        bars = axes.barh(range(len(trips)), trips, color=BLUE, height=0.7)
        axes.bar_label(bars, [f"{count(each)} ({per_cent(each, of_trips)})" for each in trips], padding=4)
        axes.set_yticks(range(len(trips)), short)
        axes.set_ylim(len(trips) - 0.4, -0.6)
        axes.set_xlabel("Accepted trips")
        axes.tick_params(axis="y", length=0)
        _counts_from_zero(axes, "x", room=1.15)

    return _svg(name, 0.8 + 0.25 * len(trips), draw)


def _counts_from_zero(axes: Axes, which: Literal["x", "y"], room: float = 1.05) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    most = max(axis.get_data_interval()[1], 1)
    (axes.set_xlim if which == "x" else axes.set_ylim)(0, room * most)
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(THOUSANDS)
    axes.grid(axis=which)


def _svg(name: str, height: float, draw: Callable[[Figure], None]) -> str:
    """The drawing, `height` inches high; the same bytes each time."""
    file = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # instead of what a user's matplotlibrc says
        matplotlib.rcParams.update(SETTINGS)
        matplotlib.rcParams["svg.hashsalt"] = name
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_html(file.getvalue(), name)


def _for_html(svg: bytes, name: str) -> str:
    """Without prologue, namespaces and metadata, and without the style sheet, which would hold for the whole page.

    Its ids begin with the name, so that they differ from those of the page's other charts.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 - matplotlib's own
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    references = {"clip-path": "url(#", "{http://www.w3.org/1999/xlink}href": "#"}
    used = {
        element.attrib[attribute].removeprefix(start).rstrip(")")
        for element in root.iter()
        for attribute, start in references.items()
        if attribute in element.attrib
    }
    for element in root.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
        if (identifier := element.attrib.pop("id", None)) in used:
            element.set("id", f"{name}-{identifier}")
        for attribute, start in references.items():
            if value := element.attrib.pop(attribute, None):
                element.set(attribute.rpartition("}")[2], value.replace(start, f"{start}{name}-"))
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute)
    return ElementTree.tostring(root, encoding="unicode")
