"""Fail unless enough is covered: all of the pure folders and the runner, 95 % elsewhere."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SRC = "src/trakt_auth/"
# Every branch: what decides about a login, and what performs it.
WHOLE_FOLDERS = tuple(SRC + name for name in ("errors.py", "protocol/", "flows/"))
WHOLE_FILES = {
    f"{SRC}{name}.py"
    for name in (
        "stores/record",
        "stores/interface",
        "stores/wrappers/fallback",
        "runtime/interfaces",
        "runtime/runner",
        "runtime/dependencies",
        "runtime/jobs",
        "runtime/tracebacks",
        "runtime/workers",
    )
}
OTHER = 95.0


def whole_in(folder: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(folder)


def is_whole(name: str) -> bool:
    return name in WHOLE_FILES or name.startswith(WHOLE_FOLDERS)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)]
        subprocess.run(command, check=True)
        files = json.loads(report.read_text())["files"]
    missing = WHOLE_FILES - set(files)
    missing |= {folder for folder in WHOLE_FOLDERS if not any(map(whole_in(folder), files))}
    low = {
        name: found
        for name, measured in files.items()
        if (found := measured["summary"]["percent_covered"]) < (100.0 if is_whole(name) else OTHER)
    }
    for name in sorted(missing):
        print(f"{name}: not measured at all")
    for name, found in sorted(low.items()):
        lines = files[name]["missing_lines"]
        branches = files[name]["missing_branches"]
        print(f"{name}: {found:.1f} %, missing lines {lines}, branches {branches}")
    print(f"coverage gate: {len(files)} files, {len(low) + len(missing)} below")
    return 1 if low or missing else 0


if __name__ == "__main__":
    sys.exit(main())
