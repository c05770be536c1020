"""What `pip install trakt-auth` brings along: pure Python, so that it runs wherever Python does."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
COMPILED = {".so", ".pyd", ".dylib", ".dll"}


def needed(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def with_all_they_need(requirements: list[str]) -> set[str]:
    """Return the installed distributions that these requirements stand for, and what those need."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    done: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if not needed(requirement, extra):
            continue
        name = metadata.distribution(requirement.name).name
        found.add(name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in done:
                done.add((name, wanted))
                more = metadata.requires(name) or []
                waiting += [(Requirement(text), wanted) for text in more]
    return found


def compiled_files(name: str) -> list[str]:
    files = metadata.files(name)
    assert files, f"{name} does not say which files it has"
    return [str(file) for file in files if COMPILED & set(file.suffixes)]


def base_dependencies() -> list[str]:
    dependencies: list[str] = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    return dependencies


def test_the_base_install_is_pure_python() -> None:
    names = with_all_they_need(base_dependencies())
    assert {"httpx2", "anyio", "click", "filelock", "h11", "rich", "segno"} <= names
    assert {name: found for name in names if (found := compiled_files(name))} == {}


@pytest.mark.parametrize("name", ["cryptography", "psycopg-binary"])
def test_a_compiled_file_is_found_where_there_is_one(name: str) -> None:
    assert compiled_files(name)


def test_extras_are_followed() -> None:
    assert "psycopg-binary" in with_all_they_need(["psycopg[binary]"])
    assert "psycopg-binary" not in with_all_they_need(["psycopg"])
