"""A manifest that was made from other files than the project has now is named, with what was done to them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from include.processes import check
from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT, ROOT, SettingError
from include.transform import manifest, project_files
from include.transform.manifest import MADE_FROM, require_fresh, stale
from tests.support.helpers import ends_well, fork

MODEL = "dbt/models/marts/tlc/fct_trips.sql"
COMMAND = "python -m include manifest"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project and its manifest, as a deployment makes one: every file was written at another time."""
    for folder in (DBT_PROJECT, DBT_PROFILES.parent):
        left_out = shutil.ignore_patterns("target", "logs", "site")
        shutil.copytree(folder, tmp_path / folder.name, ignore=left_out, copy_function=shutil.copyfile)
    for module in (project_files, manifest):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        for file in (DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT):
            name = next(name for name, value in vars(module).items() if value == file)
            monkeypatch.setattr(module, name, tmp_path / file.relative_to(ROOT))
    return tmp_path


def edit(file: Path) -> None:
    file.write_text(f"{file.read_text()}\n")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a model edited": (lambda root: edit(root / MODEL), f"{MODEL} was changed"),
    "its properties edited": (
        lambda root: edit((root / MODEL).with_suffix(".yml")),
        "dbt/models/marts/tlc/fct_trips.yml was changed",
    ),
    "a model of the same size": (
        lambda root: (root / MODEL).write_text((root / MODEL).read_text().replace("w", "W", 1)),
        f"{MODEL} was changed",
    ),
    "a macro edited": (lambda root: edit(root / "dbt/macros/run/months.sql"), "dbt/macros/run/months.sql was changed"),
    "a selection edited": (lambda root: edit(root / "dbt/selectors.yml"), "dbt/selectors.yml was changed"),
    "a description edited": (lambda root: edit(root / "dbt/models/columns.md"), "dbt/models/columns.md was changed"),
    "the profile edited": (lambda root: edit(root / "profiles/profiles.yml"), "profiles/profiles.yml was changed"),
    "a model added": (
        lambda root: (root / "dbt/models/new.sql").write_text("select 1"),
        "dbt/models/new.sql was added",
    ),
    "a seed added": (
        lambda root: (root / "dbt/seeds").mkdir() or (root / "dbt/seeds/new.csv").write_text("a\n1\n"),
        "dbt/seeds/new.csv was added",
    ),
    "a model taken away": (lambda root: (root / MODEL).unlink(), f"{MODEL} was removed"),
}


@pytest.mark.parametrize("by_content", [False, True])
@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_project_is_named(project: Path, change: Callable[[Path], object], said: str, by_content: bool):
    assert stale(by_content=by_content) is None
    change(project)
    assert stale(by_content=by_content) == f"is stale: since it was made, {said}"


def test_what_dbt_does_not_read_is_no_change(project: Path):
    model = project / MODEL
    for name in (".fct_trips.sql.swp", "#fct_trips.sql#", "fct_trips.sql~", "4913", ".#new.sql"):
        (model.parent / name).write_text("select 1")
    (model.parent / ".#fct_trips.sql").symlink_to("somebody@somewhere.1234")  # as Emacs does
    for folder in ("target", "logs", "manifest", "site"):
        (project / "dbt" / folder).mkdir(exist_ok=True)
        (project / "dbt" / folder / "written.sql").write_text("since")
    assert stale() is stale(by_content=True) is None


def test_a_file_put_back_as_it_was_is_no_change(project: Path):
    before = (project / MODEL).read_text()
    edit(project / MODEL)
    assert stale()
    (project / MODEL).write_text(before)
    assert stale() is None


def test_another_content_of_the_same_time_and_size_is_seen_where_content_is_asked_for(project: Path):
    file = ROOT / MODEL
    written, size, _ = made_from(DBT_MANIFEST)[MODEL]
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (written, size), "as `make manifest` has left it"
    (project / MODEL).write_bytes(file.read_bytes().swapcase())
    os.utime(project / MODEL, ns=(written, written))
    assert stale() is None
    assert stale(by_content=True) == f"is stale: since it was made, {MODEL} was changed"


def made_from(file: Path) -> dict[str, list]:
    return json.loads(json.loads(file.read_text())["metadata"]["env"][MADE_FROM])


def test_of_many_changes_three_are_named(project: Path):
    macros = sorted(file.relative_to(project).as_posix() for file in (project / "dbt/macros").rglob("*.sql"))
    for name in macros:
        edit(project / name)
    named = ", ".join(f"{name} was changed" for name in macros[:3])
    assert stale() == f"is stale: since it was made, {named} and {len(macros) - 3} more"


def test_a_manifest_that_does_not_say_what_it_was_made_from_is_stale(project: Path):
    file = project / "dbt/manifest/manifest.json"
    content = json.loads(file.read_text())
    del content["metadata"]["env"][MADE_FROM]
    file.write_text(json.dumps(content))
    assert stale() == "is stale: it does not say which files it was made from, as the manifests of this version do"


def test_of_a_manifest_that_is_missing_or_damaged_another_message_tells(project: Path):
    file = project / "dbt/manifest/manifest.json"
    whole = file.read_bytes()
    for content in (whole[:1000], b"", b"{}", b"[]", b"null", b'{"nodes": 7}', None):
        file.unlink() if content is None else file.write_bytes(content)
        assert stale() is None, content
        assert manifest.fault(), content


def test_the_error_names_file_and_command(project: Path):
    require_fresh()
    edit(project / MODEL)
    with pytest.raises(SettingError) as error:
        require_fresh()
    assert str(error.value) == (
        f"{project}/dbt/manifest/manifest.json is stale: since it was made, {MODEL} was changed, and the DAG is drawn "
        f"from it. Make it anew, in {project}: {COMMAND}"
    )


def test_the_check_reads_every_file_and_names_the_manifest(project: Path, monkeypatch: pytest.MonkeyPatch):
    assert list(check.stale_manifest()) == []
    written, _, _ = made_from(DBT_MANIFEST)[MODEL]
    (project / MODEL).write_bytes((ROOT / MODEL).read_bytes().swapcase())
    os.utime(project / MODEL, ns=(written, written))
    [line] = check.stale_manifest()
    assert f"is stale: since it was made, {MODEL} was changed: {COMMAND}, in " in line


# ---------- cheap: no file is read twice, by a process or by those that are forked from it


def files_read_in_a_fork(project: Path) -> list[str]:
    """Of the project, the names of those that a look at the manifest reads in a process forked from this one."""
    read, found = [], project / "read.json"

    def look() -> None:
        sys.addaudithook(lambda event, words: read.append(str(words[0])) if event == "open" else None)
        stale()
        found.write_text(json.dumps([Path(name).name for name in read if name.startswith(f"{project}/")]))

    ends_well(fork(look))
    return [name for name in json.loads(found.read_text()) if name != found.name]


def test_a_parse_reads_no_file_that_its_parent_has_read(project: Path):
    everything = files_read_in_a_fork(project)
    assert {"fct_trips.sql", "manifest.json", "profiles.yml"} <= set(everything)
    stale()
    assert files_read_in_a_fork(project) == []
    edit(project / MODEL)
    assert files_read_in_a_fork(project) == ["fct_trips.sql"]


def test_where_the_manifest_was_made_no_file_of_the_project_is_read_at_all(project: Path):
    for name, (written, _, _) in made_from(DBT_MANIFEST).items():
        os.utime(project / name, ns=(written, written))
    assert files_read_in_a_fork(project) == ["manifest.json"]
