"""Rules for the source code: who imports whom, how long files are, what is public."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import trakt_auth
from trakt_auth import AsyncClient, Client, protocol

ROOT = Path(trakt_auth.__file__).parent
# Each folder, and what its files may import beside the folder itself.
FOLDERS = {
    "errors": set(),
    "protocol": {"errors"},
    "stores": {"errors", "protocol"},
    "flows": {"errors", "protocol", "stores.record", "stores.interface"},
    "runtime": {"errors", "protocol", "stores", "flows"},
    "client": {"errors", "protocol", "stores", "flows", "runtime"},
    "adapters": {"errors", "protocol", "client"},
    "emulator": {"protocol.http"},
    "testing": {"errors", "protocol", "stores", "flows", "runtime", "client", "emulator"},
    "cli": {
        "errors", "protocol", "stores", "flows", "runtime", "client", "adapters", "emulator",
        "testing",
    },
    "__main__": {"cli"},
}  # fmt: skip
# Each third-party package, and the few files that may import it.
THIRD_PARTY = {
    "aiohttp": {"adapters/for_aiohttp.py"},
    "anyio": {
        "client/asynchronous.py",
        "runtime/clock.py",
        "stores/wrappers/asynchronous.py",
        "testing/clock.py",
    },
    "click": {"cli/help.py", "cli/parser.py"},
    "cryptography": {"emulator/signing.py", "stores/wrappers/encrypted.py"},
    "filelock": {"stores/engines/file_lock.py"},
    "httpx": {"adapters/for_httpx.py"},
    "httpx2": {
        "cli/commands/api_call.py",
        "client/api.py",
        "client/asynchronous.py",
        "client/base.py",
        "client/sync.py",
        "runtime/transport.py",
        "testing/in_process.py",
        "testing/trakt.py",
    },
    "jinja2": {"emulator/pages/render.py"},
    "keyring": {"stores/engines/keychain.py"},
    "platformdirs": {"cli/settings.py", "stores/keyring.py"},
    "pytest": {"testing/plugin.py"},
    "psycopg": {"stores/engines/postgres_connection.py", "stores/engines/postgres_pool.py"},
    "psycopg_pool": {"stores/engines/postgres_pool.py"},
    "redis": {"stores/engines/redis_connection.py"},
    "requests": {"adapters/for_requests.py"},
    "rich": {"cli/terminal/drawing.py"},
    "secretstorage": {"stores/engines/keychain.py"},
    "segno": {"cli/terminal/qr.py"},
    "starlette": {"emulator/server.py"},
    "uvicorn": {"emulator/server.py"},
    "yarl": {"adapters/for_aiohttp.py"},
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 50  # lines, docstrings aside


@dataclass(frozen=True)
class Import:
    """A module that a file imports; `typing` is true if only type checkers see the import."""

    module: str
    typing: bool
    line: int


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = ["trakt_auth", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources()}
PATHS = pytest.mark.parametrize(
    "path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix()
)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def type_checking_lines(tree: ast.Module) -> set[int]:
    return {
        inner.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
        if hasattr(inner, "lineno")
    }


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Return every import of a file, those inside functions too."""
    tree, found = tree_of(path), []
    hidden = type_checking_lines(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in full]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("Late", "import_module"):
            names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        else:
            continue
        found += [Import(name, node.lineno in hidden, node.lineno) for name in names]
    return tuple(found)


def own_imports(path: Path) -> Iterator[Import]:
    """Return the imports from this project."""
    for found in imports_of(path):
        if found.module.split(".")[0] == "trakt_auth":
            yield found


def folder_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


# -- who imports whom ----------------------------------------------------------------------------


@PATHS
def test_a_file_imports_only_from_the_folders_below(path: Path) -> None:
    folder = folder_of(path)
    if folder == "__init__":
        return
    for found in own_imports(path):
        where = f"{path.name}:{found.line} imports {found.module}"
        inside = found.module.removeprefix("trakt_auth").lstrip(".")
        assert inside, f"{where}: the package root is for users"
        words = inside.split(".")
        places = {words[0], ".".join(words[:2])}
        assert folder in places or places & FOLDERS[folder], where


@PATHS
def test_stores_do_not_know_each_other(path: Path) -> None:
    if folder_of(path) == "stores" and path.name != "__init__.py":
        shared = (
            "engines",
            "record",
            "interface",
            "versions",
            "document",
            "overwrite",
            "guard",
            "lineage",
        )
        for found in own_imports(path):
            words = found.module.split(".")[1:]
            assert words[0] != "stores" or words[1] in shared, found


def test_the_table_names_every_folder_and_no_other() -> None:
    assert set(FOLDERS) == {folder_of(path) for path in sources()} - {"__init__"}


def test_a_folder_may_import_only_from_folders_before_it_in_the_table() -> None:
    below: set[str] = set()
    for folder, allowed in FOLDERS.items():
        assert {name.split(".")[0] for name in allowed} <= below, folder
        below.add(folder)


def test_third_party_names_stay_in_their_files() -> None:
    used: dict[str, set[str]] = {}
    for path in sources():
        for found in imports_of(path):
            top = found.module.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "trakt_auth":
                used.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    for name, paths in used.items():
        assert paths <= THIRD_PARTY.get(name, set()), name


def test_the_list_of_third_party_files_has_no_stale_line() -> None:
    for name, paths in THIRD_PARTY.items():
        for relative in paths:
            assert (ROOT / relative).exists(), f"{relative} does not exist"
            tops = {found.module.partition(".")[0] for found in imports_of(ROOT / relative)}
            assert name in tops, f"{relative} does not use {name}"


def test_no_import_circles() -> None:
    graph = {
        name: {
            found.module for found in imports_of(path) if found.module in MODULES
            and not found.typing
        }
        for name, path in MODULES.items()
        if name != "trakt_auth"
    }  # fmt: skip
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    assert done == set(graph)


# -- how a file is written -----------------------------------------------------------------------


@PATHS
def test_a_file_opens_with_what_it_is_for(path: Path) -> None:
    text = ast.get_docstring(tree_of(path)) or ""
    assert len(text.splitlines()) >= 3, "say what lives here, and what may not"
    assert not re.search(r"\b(files?|fixtures|tests|keeper|doctor) imports? (this|it)\b", text)
    assert "Layer " not in text


def docstring_lines(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> int:
    if ast.get_docstring(node, clean=False) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@PATHS
def test_files_and_functions_are_short(path: Path) -> None:
    tree = tree_of(path)
    docs = sum(docstring_lines(node) for node in ast.walk(tree) if isinstance(node, DOCUMENTED))
    assert len(path.read_text().splitlines()) - docs <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = sum(docstring_lines(n) for n in ast.walk(node) if isinstance(n, DOCUMENTED))
            length = (node.end_lineno or 0) - node.lineno + 1 - inner
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def generators_of(name: str) -> set[str]:
    """Return the functions of a module that are flows: calling one alone does nothing."""
    return {
        node.name
        for node in ast.walk(tree_of(ROOT / "flows" / f"{name}.py"))
        if isinstance(node, ast.FunctionDef)
        and node.returns is not None
        and ast.unparse(node.returns).startswith("Flow[")
    }


FLOWS = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if generators_of(path.stem))


def test_the_flows_are_found() -> None:
    assert {"login", "pause", "refresh", "revocation", "saving", "steps"} <= set(FLOWS)


@pytest.mark.parametrize("name", sorted({*FLOWS} - {"steps"}))
def test_no_step_is_forgotten(name: str) -> None:
    flows = set().union(*map(generators_of, FLOWS))
    assert {"send", "sleep", "now", "load", "save", "hold", "notify", "keep"} <= flows
    tree = tree_of(ROOT / "flows" / f"{name}.py")
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in flows
    ]
    assert len(calls) > 3
    for call in calls:
        parent = parents[call]
        handed_on = (
            isinstance(parent, ast.Call)
            and isinstance(parent.func, ast.Name)
            and parent.func.id in ("uninterruptible", "single_flight")
        )
        assert isinstance(parent, ast.YieldFrom) or handed_on, f"{name}.py:{call.lineno}"


@pytest.mark.parametrize("name", FLOWS)
def test_flows_yield_steps_only_by_their_helpers(name: str) -> None:
    raw = [
        node
        for node in ast.walk(tree_of(ROOT / "flows" / f"{name}.py"))
        if isinstance(node, ast.Yield)
    ]
    assert bool(raw) is (name == "steps")


# -- what is public ------------------------------------------------------------------------------


def test_every_public_name_is_sorted_and_importable() -> None:
    assert trakt_auth.__all__ == sorted(set(trakt_auth.__all__))
    for name in trakt_auth.__all__:
        assert getattr(trakt_auth, name) is not None
        assert name in dir(trakt_auth)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        trakt_auth.nonsense  # noqa: B018


def test_the_type_checker_sees_what_the_interpreter_sees() -> None:
    path = ROOT / "__init__.py"
    hidden = type_checking_lines(tree_of(path))
    seen = {
        (str(node.module).removeprefix("trakt_auth."), alias.name)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.lineno in hidden
        for alias in node.names
    }
    modules = {(module, name) for name, module in trakt_auth._MODULE_OF.items()}
    assert seen == modules
    assert {name for _, name in modules} == set(trakt_auth.__all__)
    assert (ROOT / "py.typed").exists()


def test_every_value_event_and_error_is_public() -> None:
    for name in (
        "errors",
        "protocol.application",
        "protocol.token",
        "protocol.authorization",
        "flows.events",
    ):
        module = importlib.import_module(f"trakt_auth.{name}")
        assert set(module.__all__) <= set(trakt_auth.__all__)


def test_protocol_offers_the_functions_of_every_endpoint() -> None:
    found: set[str] = set()
    for path in (ROOT / "protocol" / "endpoints").glob("*.py"):
        found |= set(re.findall(r"^def ((?:build|parse)_\w+)", path.read_text(), re.MULTILINE))
    assert len(found) > 8
    assert set(protocol.__all__) == found | {"api_headers", "code_challenge"}


@PATHS
def test_all_names_what_is_there(path: Path) -> None:
    if folder_of(path) in ("cli", "emulator", "__main__"):
        return  # parts of programs: their `__all__` promises nothing to others
    module = importlib.import_module(module_of(path))
    names = getattr(module, "__all__", () if path.name == "__init__.py" else None)
    assert all(hasattr(module, name) for name in names)


def public_methods(kind: type) -> dict[str, object]:
    return {
        name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")
    }


def test_both_clients_have_the_same_names_and_parameters() -> None:
    sync, asynchronous = public_methods(Client), public_methods(AsyncClient)
    assert set(sync) - set(asynchronous) == {"close"}
    assert set(asynchronous) - set(sync) == {"aclose"}
    for name in set(sync) & set(asynchronous):
        one, other = sync[name], asynchronous[name]
        assert type(one) is type(other), name
        if callable(one):
            assert callable(other)
            left = dict(inspect.signature(one).parameters)
            if name == "wait_for_device":
                del left["cancel"]
            assert left == dict(inspect.signature(other).parameters), name
            if not name.startswith("api"):
                returns = inspect.signature(one).return_annotation
                assert returns == inspect.signature(other).return_annotation, name
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


def test_every_public_method_is_documented() -> None:
    for kind in (Client, AsyncClient):
        for name, member in public_methods(kind).items():
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"


HEAVY = (
    "httpx2",
    "rich",
    "asyncio",
    "click",
    "filelock",
    "anyio",
    "ssl",
    "socket",
    "sqlite3",
    "psycopg",
    "redis",
    "keyring",
    "cryptography",
)


@pytest.mark.parametrize(
    "statement", ["import trakt_auth", "from trakt_auth import Application, Client"]
)
def test_importing_is_light(statement: str) -> None:
    # Coverage is switched off in that process, since it imports some of these packages itself.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    told = subprocess.run(
        [sys.executable, "-S", "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        env=environment | {"PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = told.stdout.split()
    assert "trakt_auth" in loaded
    assert not [name for name in HEAVY if name in loaded]
