"""Figures, side by side with other libraries in one run: medians and ratios.

`make bench` runs everything; `python benchmarks/run.py imports` one part. Machines differ and are
noisy: the two sides of each comparison take turns, and the ratio is what counts.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

from trakt_auth import Application, AsyncClient, Client, Endpoints, Token

CONSOLE = Console()
APP = Application("emulator", user_agent="trakt-auth-benchmarks/1")
IMPORTS = {
    "trakt-auth": "from trakt_auth import Application, Client",
    "httpx-auth": "import httpx_auth",
    "authlib": "from authlib.integrations.requests_client import OAuth2Session",
    "authlib on httpx2": "from authlib.integrations.httpx_client import OAuth2Client",
    "requests-oauthlib": "from requests_oauthlib import OAuth2Session",
    "msal": "import msal",
    "pytrakt": "import trakt",
}
GETS, ROUNDS = 2000, 20


def wall(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Return the seconds that a command takes, start to end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return time.perf_counter() - start


def taking_turns(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each side once a round, so that a change of the machine's speed meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for measure in sides.values():
        measure()  # compiled files, page cache, connections
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def imports() -> None:
    """Time over a bare interpreter that an import takes."""
    bare = [sys.executable, "-c", "pass"]
    sides: dict[str, Callable[[], float]] = {"": lambda: wall(bare)}
    for name, statement in IMPORTS.items():
        command = [sys.executable, "-c", statement]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            CONSOLE.print(f"{name} cannot be imported here, and is left out")
            continue
        sides[name] = lambda command=command: wall(command)
    found = taking_turns(sides, 15)
    base = statistics.median(found.pop(""))
    over = {name: (statistics.median(times) - base) * 1000 for name, times in found.items()}
    ours = over["trakt-auth"]
    table = Table(title=f"Import, over a bare interpreter ({base * 1000:.0f} ms)")
    for column in ("library", "median ms", "trakt-auth is"):
        table.add_column(column, justify="left" if column == "library" else "right")
    for name, milliseconds in sorted(over.items(), key=lambda item: item[1]):
        table.add_row(name, f"{milliseconds:.0f}", f"{ours / milliseconds:.2f} of it")
    CONSOLE.print(table)
    lightest = min(value for name, value in over.items() if name != "trakt-auth")
    CONSOLE.print(f"of the lightest: {ours / lightest:.2f} (aim: at most 0.40)\n")


def a_token(url: str) -> Token:
    """Sign somebody in at the emulator."""
    with Client(APP, endpoints=Endpoints.at(url)) as client:
        device = client.start_device()
        httpx2.post(f"{url}/emulator/device/{device.user_code}/approve").raise_for_status()
        time.sleep(device.interval)
        client.poll_device(device)
        return client.token()


@contextmanager
def emulator():
    """Run the emulator as its own process, as a user would."""
    command = [sys.executable, "-m", "trakt_auth.cli", "emulator", "--port", "0", "--quiet"]
    command += ["--device-interval", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def command() -> None:
    """`trakt-auth token` with a fresh token, beside the interpreter alone."""
    now = datetime.now(UTC)
    token = Token(
        access_token="a" * 64, refresh_token="r" * 64, created_at=now, expires_at=now + timedelta(7)
    )
    script = str(Path(sys.executable).with_name("trakt-auth"))
    with tempfile.TemporaryDirectory() as folder:
        store = f"file:{folder}/tokens.json"
        with Client(APP, store=store) as client:
            client.adopt(token)
        environment = os.environ | {"TRAKT_CLIENT_ID": "emulator", "TRAKT_AUTH_STORE": store}
        found = taking_turns(
            {
                "pass": lambda: wall([sys.executable, "-c", "pass"]),
                "token": lambda: wall([script, "token"], environment),
            },
            25,
        )
    bare, ours = (statistics.median(found[name]) for name in ("pass", "token"))
    CONSOLE.print(
        f"trakt-auth token: {ours * 1000:.0f} ms, python -c pass: {bare * 1000:.0f} ms, "
        f"{ours / bare:.1f} times (aim: at most 6)\n"
    )


def fresh_token(url: str) -> None:
    """`client.token()` with a fresh token."""
    with Client(APP, endpoints=Endpoints.at(url)) as client:
        client.adopt(a_token(url))
        times = timeit.repeat(client.token, number=20_000, repeat=15)
    microseconds = statistics.median(times) / 20_000 * 1e6
    CONSOLE.print(f"client.token(), fresh: {microseconds:.2f} microseconds (aim: at most 3)\n")


def headers(token: Token) -> dict[str, str]:
    """Return what a program without this library would send."""
    return {
        "authorization": f"Bearer {token.access_token}",
        "content-type": "application/json",
        "trakt-api-key": APP.client_id,
        "trakt-api-version": "2",
        "user-agent": APP.user_agent,
    }


def gets(url: str) -> None:
    """Authenticated GETs through `client.api`, beside a bare httpx2 client with a fixed header."""
    token = a_token(url)
    each = GETS // ROUNDS
    with (
        Client(APP, endpoints=Endpoints.at(url)) as client,
        httpx2.Client(base_url=url, headers=headers(token)) as bare,
    ):
        client.adopt(token)

        def run(api: httpx2.Client) -> float:
            start = time.perf_counter()
            for _ in range(each):
                api.get("/users/me").raise_for_status()
            return time.perf_counter() - start

        sides = {"bare": lambda: run(bare), "ours": lambda: run(client.api)}
        report("sync", taking_turns(sides, ROUNDS))
    report("async", asyncio.run(gets_async(url, token, each)))


async def gets_async(url: str, token: Token, each: int) -> dict[str, list[float]]:
    """Return the same for the asynchronous client."""
    found: dict[str, list[float]] = {"bare": [], "ours": []}
    async with (
        AsyncClient(APP, endpoints=Endpoints.at(url)) as client,
        httpx2.AsyncClient(base_url=url, headers=headers(token)) as bare,
    ):
        await client.adopt(token)
        for turn in range(ROUNDS + 1):
            for name, api in (("bare", bare), ("ours", client.api)):
                start = time.perf_counter()
                for _ in range(each):
                    (await api.get("/users/me")).raise_for_status()
                if turn:
                    found[name].append(time.perf_counter() - start)
    return found


def report(colour: str, found: dict[str, list[float]]) -> None:
    """Print a comparison's medians, and the median of the ratios round by round."""
    each = GETS // ROUNDS
    bare, ours = (statistics.median(found[name]) / each * 1e6 for name in ("bare", "ours"))
    ratio = statistics.median(b / a for a, b in zip(found["bare"], found["ours"], strict=True))
    CONSOLE.print(
        f"{GETS} GETs, {colour}: bare httpx2 {bare:.0f} us, client.api {ours:.0f} us each, "
        f"ratio {ratio:.3f} (aim: at most 1.05)"
    )


def main() -> None:
    """Run the parts that are named, or all."""
    chosen = set(sys.argv[1:]) or {"imports", "command", "requests"}
    if "imports" in chosen:
        imports()
    if "command" in chosen:
        command()
    if "requests" in chosen:
        with emulator() as url:
            fresh_token(url)
            gets(url)


if __name__ == "__main__":
    main()
