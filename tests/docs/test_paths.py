"""What the pages about the code name, exists: files, folders, modules, functions and tests.

The examples that pages show are run in `test_docs`.
"""

import importlib
import re
from pathlib import Path

import pytest

import trakt_auth

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "trakt_auth"
DOCS = ROOT / "docs"
ABOUT_CODE = [DOCS / "architecture.md", *sorted((DOCS / "decisions").glob("*.md"))]
PAGES = [*ABOUT_CODE, DOCS / "reliability.md", DOCS / "benchmarks.md", DOCS / "reference/python.md"]
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.]+(?:/[\w.]+)*(?:/|\.py|\.md|\.svg)|[a-z_]+(?:/[a-z_]+)+")
OF_REPOSITORY = ("src", "tests", "docs", "benchmarks")
DOTTED = re.compile(r"trakt_auth(?:\.\w+)+")
NAME = re.compile(r"\w+")


def place_of(path: str) -> Path:
    """Return the file or folder that a page names; a module's suffix may be left out."""
    parent = ROOT if path.split("/", maxsplit=1)[0] in OF_REPOSITORY else SOURCES
    place = parent / path
    return place if place.exists() else place.with_suffix(".py")


def paths_in(page: Path) -> list[str]:
    text = page.read_text()
    found = [code for code in CODE.findall(FENCE.sub("", text)) if PATH.fullmatch(code)]
    for block in FENCE.findall(text):
        found += [word for word in block.split() if PATH.fullmatch(word) and "/" in word]
    return found


def import_dotted(dotted: str) -> None:
    value, words = trakt_auth, dotted.split(".")[1:]
    for number, word in enumerate(words):
        if not hasattr(value, word):
            importlib.import_module(".".join(["trakt_auth", *words[: number + 1]]))
        value = getattr(value, word)


def defined(name: str, place: Path) -> bool:
    files = place.rglob("*.py") if place.is_dir() else [place]
    definition = re.compile(rf"^\s*(?:async def|def|class) {name}\b|^{name}\b", re.MULTILINE)
    return any(definition.search(file.read_text()) for file in files)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page):
    missing = [path for path in paths_in(page) if not place_of(path).exists()]
    assert missing == []


def test_the_pages_about_the_code_name_many_paths():
    assert len(set(paths_in(DOCS / "architecture.md"))) > 50
    for page in ABOUT_CODE[1:]:
        assert page.name == "README.md" or paths_in(page), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_and_name_that_a_page_names_can_be_imported(page):
    for dotted in DOTTED.findall(page.read_text()):
        import_dotted(dotted)


def test_every_new_name_of_the_changelog_can_be_imported():
    rows = re.findall(r"^ *\|.*\| (.*) \|$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    names = [name for row in rows for name in DOTTED.findall(row)]
    assert len(names) > 5
    for name in names:
        import_dotted(name)


def test_what_a_table_says_is_in_a_file_is_defined_there():
    checked = 0
    for page in ABOUT_CODE:
        for row in page.read_text().splitlines():
            place = None
            for code in CODE.findall(row) if row.startswith("|") else ():
                if PATH.fullmatch(code):
                    place = place_of(code)
                elif place is not None and NAME.fullmatch(code):
                    assert defined(code, place), f"{page.name}: {code} is not in {place}"
                    checked += 1
    assert checked > 50


def test_every_folder_is_in_the_picture_and_on_the_page():
    page = (DOCS / "architecture.md").read_text()
    picture = (DOCS / "images" / "architecture.svg").read_text()
    for path in SOURCES.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert f">{path.name}/<" in picture, path.name
            assert f"`{path.name}/" in page, path.name


def test_every_record_is_in_the_index_under_its_title():
    index = (DOCS / "decisions" / "README.md").read_text()
    for number, page in enumerate(sorted((DOCS / "decisions").glob("0*.md")), start=1):
        assert page.name.startswith(f"{number:04}-")
        title = page.read_text().splitlines()[0].removeprefix(f"# {number:04}: ")
        assert title in index.replace("`", ""), title
