"""Measures the emulator beside a bare Starlette route and an OAuth mock server from npm.

`python benchmarks/emulator.py` measures everything; `startup`, `rates` or `scale` one part. Servers
and load generators are separate processes. The compared servers are measured in turns, and the
ratio of their results is what counts. With node and npm, `oauth2-mock-server` is installed into a
temporary folder and measured too; without them the output says that it is left out.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from trakt_auth.emulator import Clock, Emulator
from trakt_auth.protocol.http import HttpRequest

CONSOLE = Console()
ROUNDS, CONNECTIONS = 11, 8
REQUESTS = {"poll": 2000, "refresh": 800, "exchange": 400}  # of one measurement
CODES, TOKENS = 100_000, 1_000_000
CALLBACK = "http://127.0.0.1:8765/callback"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
IDLE = 1.0  # seconds; servers close connections that are idle for longer than a few
MOCK = "oauth2-mock-server@8"
READY = re.compile(r"http://127\.0\.0\.1:\d+")


# -- the servers ----------------------------------------------------------------------------------


def serve_emulator(codes: int, tokens: int) -> None:
    """Serve an emulator that stores so many device codes and so many pairs of tokens."""
    from trakt_auth.emulator.server import serve

    emulator = filled(codes, tokens)
    known = [start_device(emulator)]
    known += [str(emulator.issue_tokens("sean")["refresh_token"]) for _ in range(CONNECTIONS)]
    serve(
        emulator,
        host="127.0.0.1",
        port=0,
        ready=lambda url: print(url, resident(), *known, flush=True),
    )


def serve_bare() -> None:
    """Serve one Starlette route that reads and returns JSON, with the same uvicorn options."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from uvicorn import Config, Server

    async def answer(request: Request) -> JSONResponse:
        given = await request.json()
        return JSONResponse({"error": "pending", "code": given["code"]}, 400)

    # asyncio turns Nagle's algorithm off only if the protocol is named here.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    app = Starlette(routes=[Route("/oauth/device/token", answer, methods=["POST"])])
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", resident(), flush=True)
    options = {"http": "h11", "loop": "asyncio", "ws": "none", "lifespan": "off"}
    Server(Config(app, log_config=None, access_log=False, **options)).run([listener])


def filled(codes: int, tokens: int) -> Emulator:
    """Return an emulator with device codes, and with pairs of tokens of 1,000 users."""
    emulator = Emulator(clock=Clock(), device_interval=0, refresh_token_lifetime=31_536_000)
    for _ in range(codes):
        start_device(emulator)
    for number in range(tokens):
        emulator.issue_tokens(f"user {number % 1000}")
    return emulator


def post(emulator: Emulator, path: str, **fields: str) -> bytes:
    """Send a POST request to an emulator in this process; return the body of the response."""
    body = json.dumps({"client_id": "emulator", **fields}).encode()
    request = HttpRequest(
        method="POST", url=f"http://127.0.0.1{path}", headers={"content-type": JSON}, body=body
    )
    return emulator.handle(request).body


def start_device(emulator: Emulator) -> str:
    """Start a device login; return the device code."""
    return json.loads(post(emulator, "/oauth/device/code"))["device_code"]


def resident() -> float:
    """Return the memory of this process in MB, or 0 if the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def server(*command: str, cwd: str | None = None) -> Iterator[list[str]]:
    """Run a server; the value of the context is the words of its first line, the URL first."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, cwd=cwd, **pipes) as process:
        try:
            line = ""
            while not READY.search(line):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{command} did not start")
            yield [READY.search(line)[0], *line.split()[1:]]
        finally:
            process.kill()


def own(*words: object) -> tuple[str, ...]:
    """Return the command that runs this file in another role."""
    return (sys.executable, __file__, *map(str, words))


# -- the load generator ---------------------------------------------------------------------------


class Connection:
    """A keep-alive connection without a client library: it sends and receives bytes."""

    def __init__(self, url: str) -> None:
        self.at = urlsplit(url)
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection((self.at.hostname, self.at.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest, self.used = b"", time.monotonic()

    def send(
        self, method: str, path: str, body: str = "", kind: str = FORM, more: str = ""
    ) -> None:
        """Send a request without waiting for the response."""
        if time.monotonic() - self.used > IDLE:  # other servers were measured meanwhile
            self.socket.close()
            self._open()
        self.used = time.monotonic()
        self.socket.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: {self.at.netloc}\r\nContent-Type: {kind}\r\n"
            f"{more}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    def receive(self, status: int = 200) -> tuple[bytes, bytes]:
        """Wait for the response, which must have that status; return its head and its body."""
        data = self.rest
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        length = int(found[1]) if found else 0
        while len(body) < length:
            body += self._more()
        self.rest = body[length:]
        if int(head[9:12]) // 100 != status // 100:
            raise RuntimeError(f"{head!r} {body!r}")
        return head, body[:length]

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def polls(one: Connection, code: str) -> Iterator[None]:
    """Poll for a device; each step receives a response and sends the next request."""
    body = json.dumps({"client_id": "emulator", "code": code})
    while True:
        one.send("POST", "/oauth/device/token", body, JSON)
        yield
        one.receive(400)


def refreshes(one: Connection, path: str, token: str) -> Iterator[None]:
    """Refresh, each time with the refresh token of the last response."""
    while True:
        one.send("POST", path, f"grant_type=refresh_token&client_id=emulator&refresh_token={token}")
        yield
        token = json.loads(one.receive()[1])["refresh_token"]


def exchanges(one: Connection, authorize: str, path: str, cookie: str) -> Iterator[None]:
    """Request a code, which the server issues at once, and exchange it: two requests."""
    query = f"response_type=code&client_id=emulator&state=s&redirect_uri={CALLBACK}"
    fields = f"grant_type=authorization_code&client_id=emulator&redirect_uri={CALLBACK}"
    while True:
        one.send("GET", f"{authorize}?{query}", more=f"Cookie: {cookie}\r\n")
        yield
        code = re.search(rb"[?&]code=([^&\s]+)", one.receive(303)[0])
        one.send("POST", path, f"{fields}&code={code[1].decode()}")
        yield
        one.receive()


def sign_in(url: str) -> str:
    """Sign in at the emulator as a user who has allowed the application; return the cookie."""
    one, cookie = Connection(url), "none=1"

    def go(method: str, path: str, fields: str = "", status: int = 200) -> str:
        one.send(method, path, fields, more=f"Cookie: {cookie}\r\n")
        return b"\r\n".join(one.receive(status)).decode()

    def csrf(page: str) -> str:
        return page.split('name="csrf" value="')[1].split('"', maxsplit=1)[0]

    page = go("GET", "/sign-in")
    cookie = re.search(r"set-cookie: ([^;]+)", page, re.IGNORECASE)[1]
    page = go("POST", "/sign-in", f"csrf={csrf(page)}&username=sean", status=303)
    return re.search(r"set-cookie: ([^;]+)", page, re.IGNORECASE)[1]


def load(job: str, side: str, url: str, *known: str) -> None:
    """Measure once for each line on stdin; print the requests per second."""
    ours = "/oauth" if side != "mock" else ""
    cookie = sign_in(url) if (job, side) == ("exchange", "emulator") else "none=1"
    turns: list[Iterator[None]] = []
    for number in range(CONNECTIONS):
        one = Connection(url)
        token = known[1 + number] if len(known) > CONNECTIONS else "any"
        if job == "poll":
            turns.append(polls(one, known[0] if known else "any"))
        elif job == "refresh":
            turns.append(refreshes(one, f"{ours}/token", token))
        else:
            turns.append(exchanges(one, f"{ours}/authorize", f"{ours}/token", cookie))
    for turn in turns:
        next(turn)
    for _ in sys.stdin:
        begin = time.perf_counter()
        for _ in range(REQUESTS[job] // CONNECTIONS):
            for turn in turns:
                next(turn)
        print(REQUESTS[job] / (time.perf_counter() - begin), flush=True)


@contextmanager
def loader(job: str, side: str, words: list[str]) -> Iterator[Callable[[], float]]:
    """Run a load generator; each call of the value is one measurement."""
    command = own("load", job, side, words[0], *words[2:])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:

        def measure() -> float:
            process.stdin.write("go\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        try:
            yield measure
        finally:
            process.kill()


# -- the parts ------------------------------------------------------------------------------------


def measure_in_turns(
    sides: dict[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Measure each side once in each round; the first round does not count."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, measure in sides.items():
            value = measure()
            if turn:
                found[name].append(value)
    return found


def show(title: str, unit: str, found: dict[str, list[float]], base: str) -> None:
    """Print the medians, and the medians of the ratios to `base` in each round."""
    table = Table(title=title, title_justify="left")
    for column in ("side", unit, f"of {base}"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for name, values in found.items():
        ratio = statistics.median(a / b for a, b in zip(values, found[base], strict=True))
        table.add_row(name, f"{statistics.median(values):,.0f}", f"{ratio:.2f}")
    CONSOLE.print(table)


@contextmanager
def mock() -> Iterator[tuple[str, ...] | None]:
    """Install the mock server; the value of the context is its command, or None without npm."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        CONSOLE.print(f"{MOCK}: no node and npm here, left out")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([npm, "install", "--silent", "--prefix", folder, MOCK], check=True)
        script = f"{folder}/node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs"
        yield (node, script, "-a", "127.0.0.1", "-p", "0")


def startup(mock_command: tuple[str, ...] | None) -> None:
    """Measure the time from the start of the process to the line that says it is ready."""
    commands = {
        "emulator": (sys.executable, "-m", "trakt_auth.cli", "emulator", "--port", "0"),
        "bare Starlette": own("serve-bare"),
        **({} if mock_command is None else {MOCK: mock_command}),
    }

    def measure(command: tuple[str, ...]) -> float:
        begin = time.perf_counter()
        with server(*command):
            return (time.perf_counter() - begin) * 1000

    sides = {name: (lambda command=command: measure(command)) for name, command in commands.items()}
    show("Start to ready (aim: under 1000)", "ms", measure_in_turns(sides), "emulator")


def rates(mock_command: tuple[str, ...] | None) -> None:
    """Measure requests per second, with 8 keep-alive connections."""
    with ExitStack() as stack:
        words = {
            "emulator": stack.enter_context(server(*own("serve-emulator", 0, 0))),
            "bare Starlette": stack.enter_context(server(*own("serve-bare"))),
        }
        if mock_command is not None:
            words["mock"] = stack.enter_context(server(*mock_command))[:1]

        def sides(job: str, *names: str) -> dict[str, Callable[[], float]]:
            return {
                name: stack.enter_context(loader(job, name, words[name]))
                for name in names
                if name in words
            }

        inside = filled(0, 0)
        code = start_device(inside)

        def in_process() -> float:
            begin = time.perf_counter()
            for _ in range(REQUESTS["poll"]):
                post(inside, "/oauth/device/token", code=code)
            return REQUESTS["poll"] / (time.perf_counter() - begin)

        found = measure_in_turns(
            {**sides("poll", "emulator", "bare Starlette"), "emulator in process": in_process}
        )
        title = "Device polls (aim: the emulator at least 0.50 of bare Starlette)"
        show(title, "requests/s", found, "bare Starlette")
        for job, title in (("refresh", "Refreshes"), ("exchange", "Code, then token")):
            found = measure_in_turns(sides(job, "emulator", "mock"))
            show(f"{title}, beside {MOCK}", "requests/s", found, "emulator")


def scale() -> None:
    """Measure rates and memory of an emulator that stores much, beside an empty one."""
    loads = {
        "empty": (0, 0),
        f"{CODES:,} device codes": (CODES, 0),
        f"{TOKENS:,} pairs of tokens": (0, TOKENS),
    }
    with ExitStack() as stack:
        words = {
            name: stack.enter_context(server(*own("serve-emulator", *held)))
            for name, held in loads.items()
        }
        for job in ("poll", "refresh"):
            sides = {
                name: stack.enter_context(loader(job, "emulator", one))
                for name, one in words.items()
            }
            show(
                f"{job.capitalize()}, by what is stored",
                "requests/s",
                measure_in_turns(sides),
                "empty",
            )
    for name, one in words.items():
        CONSOLE.print(f"{name}: {float(one[1]):,.0f} MB")
    dropping()


def dropping() -> None:
    """Measure how long it takes to drop everything once it has expired."""
    before = resident()
    emulator = filled(CODES, TOKENS)
    full = resident()
    emulator.clock.advance(40_000_000)
    begin, worked = time.perf_counter(), time.process_time()
    post(emulator, "/oauth/device/token", code="unknown")
    seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    state = emulator.state(limit=10)
    gc.collect()
    CONSOLE.print(
        f"The first request after everything has expired drops it: {seconds:.1f} s, {worked:.1f} s "
        f"of it CPU time. Left: {len(state['device_codes'])} codes, {state['tokens']['access']} "
        f"access and {state['tokens']['refresh']} refresh tokens. Memory: {before:,.0f} MB before, "
        f"{full:,.0f} MB full, {resident():,.0f} MB after."
    )


def main() -> None:
    """Run the named parts, or all; or, in another role, a server or a load generator."""
    role, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if role == "serve-emulator":
        serve_emulator(int(words[0]), int(words[1]))
    elif role == "serve-bare":
        serve_bare()
    elif role == "load":
        load(words[0], words[1], words[2], *words[3:])
    else:
        chosen = set(sys.argv[1:]) or {"startup", "rates", "scale"}
        if chosen & {"startup", "rates"}:
            with mock() as command:
                if "startup" in chosen:
                    startup(command)
                if "rates" in chosen:
                    rates(command)
        if "scale" in chosen:
            scale()


if __name__ == "__main__":
    main()
