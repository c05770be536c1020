"""What is told to those who work here is true: files, names, targets and hooks exist.

The walks of CONTRIBUTING.md name many files; moving one fails here until the walk is right again.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"`([^`\n]+)`")
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
FOLDERS = ("src/", "tests/", "docs/", "benchmarks/", "requirements/")
# A step of a walk, or a paragraph.
STEPS = re.split(r"\n\n|\n(?=\d\. )", PAGE)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z]+):.*  ## ", MAKEFILE, re.MULTILINE)


def files_of(text: str) -> list[str]:
    return [name for name in CODE.findall(text) if name.startswith(FOLDERS)]


def test_every_file_of_the_walks_exists():
    assert len(files_of(PAGE)) > 40
    assert [name for name in files_of(PAGE) if not (ROOT / name).exists()] == []


def test_every_name_of_the_walks_is_in_a_file_that_the_step_names():
    names = 0
    for step in STEPS:
        files = [ROOT / name for name in files_of(step)]
        text = "\n".join(file.read_text() for file in files if file.is_file())
        for name in CODE.findall(step):
            if re.fullmatch(r"_?[A-Z_]{4,}|_\w+|Lease|Plan|TokenStore", name):
                names += 1
                assert re.search(rf"\b{name}\b", text), f"{name} is in none of {files}"
    assert names > 10


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", ".pre-commit-config.yaml"])
def test_every_target_that_is_told_of_exists(page):
    told = set(re.findall(r"\bmake ([a-z]+)`", (ROOT / page).read_text()))
    assert told
    assert told <= set(TARGETS)


def test_help_lists_every_target():
    listed = subprocess.run(
        ["make", "-s", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [["make", target] for target in TARGETS]
    assert all(len(line.split()) > 2 for line in listed)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    helpers = {"browser", "network"}  # other targets need them
    assert set(phony.split()) == set(TARGETS) | helpers


def test_fast_runs_what_is_there():
    (folders,) = re.findall(r"^FAST := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    for name in folders.replace("\\\n", " ").split():
        assert (ROOT / name).exists(), name


def test_hooks_run_the_tools_of_make_check_and_download_nothing():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"repo: *(.+)", hooks)) == {"local"}
    assert set(re.findall(r"language: *(.+)", hooks)) == {"system"}
    entries = re.findall(r"entry: *(.+)", hooks)
    assert len(entries) == 3
    for entry in entries:
        tool = entry.removeprefix(".venv/bin/").split(" --")[0]
        assert entry.startswith(".venv/bin/")
        assert f"$(DEV_VENV)/bin/{tool}" in MAKEFILE
