"""The packages of `include` and `dev` as a picture in Mermaid, drawn from their imports and their layers.

`python -m tests.support.house` draws it anew into docs/explanation/house.md.
"""

from __future__ import annotations

import re
import tomllib

import grimp

from include.settings import ROOT

DOCUMENT = ROOT / "docs" / "explanation" / "house.md"
PICTURE = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)
# Every other package may use them, and most do: an arrow to each would hide the others.
GROUND = {"include": {"support", "datasets", "settings", "month"}, "dev": {"errors", "console"}}


def pictures() -> list[str]:
    """A block of Mermaid for each of `include` and `dev`."""
    graph = grimp.build_graph(*GROUND, exclude_type_checking_imports=True, cache_dir=None)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {each["id"]: each["layers"] for each in contracts if each["type"] == "layers"}
    return [_picture(graph, root, layers[root]) for root in GROUND]


def draw() -> None:
    """Replaces the pictures in the document, in their order."""
    drawn = iter(pictures())
    DOCUMENT.write_text(PICTURE.sub(lambda _: next(drawn), DOCUMENT.read_text()))


def _picture(graph: grimp.ImportGraph, root: str, layers: list[str]) -> str:
    lines = ["```mermaid", "flowchart TD"]
    for number, layer in enumerate(layers):
        names = [each.strip().removeprefix(f"{root}.") for each in layer.split("|")]
        nodes = [f'        {_id(name)}["{_label(root, name)}"]' for name in sorted(names)]
        lines += [f'    subgraph layer{number} [" "]', *nodes, "    end"]
    lines += [f"    layer{number} ~~~ layer{number + 1}" for number in range(len(layers) - 1)]  # one below the other
    lines += [f"    {_id(one)} --> {_id(other)}" for one, other in sorted(_arrows(graph, root))]
    return "\n".join([*lines, "```", ""])


def _arrows(graph: grimp.ImportGraph, root: str) -> set[tuple[str, str]]:
    """The packages of `root` that import one another, but for those that everything stands on."""
    modules = {each for each in graph.modules if each.startswith(f"{root}.") and _room(each) not in GROUND[root]}
    imports = {(one, other) for one in modules for other in graph.find_modules_directly_imported_by(one) & modules}
    return {(_room(one), _room(other)) for one, other in imports if _room(one) != _room(other)}


def _room(module: str) -> str:
    """`include.source.reader`: source."""
    return module.split(".")[1]


def _id(name: str) -> str:
    return name.strip("_")


def _label(root: str, name: str) -> str:
    return f"python -m {root}" if name == "__main__" else name


if __name__ == "__main__":
    draw()
