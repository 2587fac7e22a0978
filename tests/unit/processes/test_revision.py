"""A process that lives long runs the files that are there, not those that it was started with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import ROOT

CHANGES = {
    "a module edited": "file('include/month.py').write_text(file('include/month.py').read_text() + '# edited')",
    "a module added": "file('include/new.py').touch()",
    "a module taken away": "file('include/ledger/made_by.py').unlink()",
    "a page edited": "file('include/report/page.html').write_text('')",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the revision is made of."""
    for folder in ("dags", "include", "dbt/manifest"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def said(project: Path, program: str) -> list[str]:
    begin = (
        "import sys\nfrom importlib import import_module\nfrom pathlib import Path\nfile = Path(sys.argv[1]).joinpath\n"
    )
    begin += "def revision(): return import_module('include.processes.revision')\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + program, str(project)],
        env=os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [word for line in done.stdout.splitlines() if line.startswith("said ") for word in line.split()[1:]]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_replaced_code_is_imported_anew_and_has_another_revision(project: Path, change: str):
    program = f"""
import include.month
before = revision().revision()
revision().forget_replaced_code()
assert sys.modules['include.month'] is include.month, 'nothing was replaced'
{change}
revision().forget_replaced_code()
assert not [name for name in sys.modules if name.startswith('include')]
after = revision().revision()
revision().forget_replaced_code()
assert 'include.processes.revision' in sys.modules, 'forgotten once'
print('said', before, after)
"""
    before, after = said(project, program)
    assert before != after
    assert said(project, "print('said', revision().revision())") == [after]


def test_a_dag_file_that_was_replaced_is_another_revision_at_once_and_the_code_stays(project: Path):
    program = """
import include.month
before = revision().revision()
file('dags/reports.py').write_text(file('dags/reports.py').read_text() + '# edited')
revision().forget_replaced_code()
assert sys.modules['include.month'] is include.month
print('said', before, revision().revision())
"""
    before, after = said(project, program)
    assert before != after
    assert said(project, "print('said', revision().revision())") == [after]


def test_files_that_were_only_written_again_are_no_other_code(project: Path):
    program = """
import include.month
file('include/month.py').touch()
revision().forget_replaced_code()
print('said', 'include.month' in sys.modules)
"""
    assert said(project, program) == ["True"]


@pytest.mark.long
def test_whoever_forks_hands_on_the_new_code_without_a_restart(project: Path):
    """As the DAG processor does, whose forks draw the DAGs."""
    for folder in ("config", "dbt/models", "profiles", "plugins"):
        shutil.copytree(ROOT / folder, project / folder)
    program = """
import os
from include.processes.warm_up import before_each_fork, read_dag_files
read_dag_files()
before_each_fork('read_dag_files')
def drawn():
    sys.stdout.flush()
    if not (pid := os.fork()):
        assert 'include.processes.drift' in sys.modules, 'inherited'
        print('said', revision().revision(), getattr(import_module('include.month'), 'EDITED', 'no'), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
month = file('include/month.py')
whole = month.read_text()
drawn()
month.write_text(whole + '\\nEDITED = "yes"')
drawn()
month.write_text(whole + '\\nEDITED = "once more"')
drawn()
"""
    before, no, after, yes, *last = said(project, program)
    assert (no, yes, last[1:]) == ("no", "yes", ["once", "more"])
    assert len({before, after, last[0]}) == 3
