from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from trakt_auth.emulator import Clock, Emulator, server
from trakt_auth.emulator.dispatch import Reply
from trakt_auth.protocol.http import HttpRequest, HttpResponse

SRC = Path(__file__).resolve().parents[2] / "src"
SERVE = """
import sys
from trakt_auth.emulator import Emulator
from trakt_auth.emulator.server import serve
try:
    serve(Emulator(), host="127.0.0.1", port=int(sys.argv[1]), ready=lambda u: print(u, flush=True))
except OSError as error:
    sys.exit(type(error).__name__)
print("ended")
"""


def post(client: httpx2.Client, path: str, **fields: object) -> httpx2.Response:
    return client.post(path, json={"client_id": "emulator", **fields})


def test_a_login_over_a_socket() -> None:
    emulator = Emulator(clock=Clock.frozen())
    with emulator.serving() as url, httpx2.Client(base_url=url) as client:
        answer = client.post(f"{url}//oauth/device/code", json={"client_id": "emulator"})
        device = answer.json()
        assert device["verification_url"] == f"{url}/activate"
        assert answer.headers.get_list("date") == ["Fri, 15 Jan 2027 08:00:00 GMT"]
        assert "server" not in answer.headers
        client.post(f"/emulator/device/{device['user_code']}/approve").raise_for_status()
        token = post(client, "/oauth/device/token", code=device["device_code"]).json()
        headers = {
            "trakt-api-key": "emulator",
            "trakt-api-version": "2",
            "authorization": f"Bearer {token['access_token']}",
        }
        me = client.get("/users/me", headers=headers)
        assert me.json()["username"] == "emulator-user"
        head = client.head("/users/me", headers=headers)
        assert (head.status_code, head.content) == (200, b"")


def test_forms_and_cookies_over_a_socket() -> None:
    with Emulator().serving() as url, httpx2.Client(base_url=url) as client:
        page = client.get("/sign-in").text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        form = {"csrf": csrf, "username": "sean", "next": "/activate"}
        assert client.post("/sign-in", data=form).headers["location"] == "/activate"
        assert "sean" in client.get("/activate").text


def test_cookies_in_several_headers_are_joined() -> None:
    emulator = Emulator()
    with emulator.serving() as url:
        host = urlsplit(url)
        connection = http.client.HTTPConnection(host.hostname or "", host.port)
        connection.request("GET", "/sign-in")
        answer = connection.getresponse()
        cookie = answer.headers["set-cookie"].partition(";")[0]
        answer.read()
        connection.putrequest("GET", "/activate")
        connection.putheader("Cookie", "a=b")
        connection.putheader("Cookie", cookie)
        connection.endheaders()
        again = connection.getresponse()
        assert "set-cookie" not in again.headers
        connection.close()


@pytest.mark.parametrize(
    ("fault", "settings", "error"),
    [
        ("reset", {}, httpx2.ReadError),
        ("answer_lost", {"how": "reset"}, httpx2.ReadError),
        ("answer_lost", {"how": "close"}, httpx2.RemoteProtocolError),
    ],
)
def test_connections_are_cut(
    fault: str, settings: dict[str, object], error: type[Exception]
) -> None:
    emulator = Emulator()
    token = emulator.issue_tokens()
    emulator.arm(fault, **settings)
    fields = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    with emulator.serving() as url, httpx2.Client(base_url=url) as client:
        with pytest.raises(error):
            post(client, "/oauth/token", **fields)
        assert post(client, "/oauth/token", **fields).status_code == (
            200 if fault == "reset" else 400
        )


def test_slow_answers_come_late() -> None:
    emulator = Emulator()
    emulator.arm("slow", seconds=0.05)
    emulator.arm("slow", seconds=0.05, processed=False)
    with emulator.serving() as url, httpx2.Client(base_url=url) as client:
        started = time.monotonic()
        assert post(client, "/oauth/token").status_code == 400
        assert time.monotonic() - started >= 0.1


def test_a_stop_does_not_wait_for_slow_answers() -> None:
    emulator = Emulator()
    emulator.arm("slow", seconds=60, processed=False)
    got: list[int] = []

    def ask(url: str) -> None:
        with httpx2.Client(base_url=url, timeout=30) as client:
            got.append(post(client, "/oauth/token").status_code)

    started = time.monotonic()
    with emulator.serving() as url:
        thread = threading.Thread(target=ask, args=(url,))
        thread.start()
        while emulator.state()["faults"]:
            time.sleep(0.001)
    thread.join()
    assert got == [400]
    assert time.monotonic() - started < 20


def test_a_stop_does_not_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(server, "_SIGNALS", 60)  # for signals only: a stop must not wait for it
    monkeypatch.setattr(server, "_GRACE", 60)  # nor for a connection on which nothing is asked
    started = time.monotonic()
    with httpx2.Client() as client:
        with Emulator().serving() as url:
            assert client.get(url).status_code == 200
        assert time.monotonic() - started < 20
    assert len(slept) < 100
    assert 0 < max(slept) < 0.01


def test_a_stop_lets_an_answer_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    long = HttpResponse(status=200, headers={}, body=b"x" * 20_000_000)
    answering = threading.Event()
    got: list[int] = []

    class Slow(Emulator):
        def process(self, request: HttpRequest, *, peer: str = "") -> Reply:
            answering.set()
            return Reply(response=long)

    def read(url: str) -> None:
        with httpx2.Client(base_url=url, timeout=30) as client:
            got.append(len(client.get("/").content))

    monkeypatch.setattr(server, "_GRACE", 60)
    with Slow().serving() as url:
        thread = threading.Thread(target=read, args=(url,))
        thread.start()
        assert answering.wait(30)
    thread.join()
    assert got == [20_000_000]


def test_long_bodies_over_a_socket() -> None:
    with Emulator().serving() as url, httpx2.Client(base_url=url) as client:
        assert client.post("/oauth/token", content=b"x" * 200_000).status_code == 413


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 403), ("127.0.0.1/x?", 400), ("", 400), ("localhost", 200)],
)
def test_host_headers(host: str, status: int) -> None:
    with Emulator().serving() as url, httpx2.Client(base_url=url) as client:
        assert client.get("/emulator/state", headers={"host": host}).status_code == status


def test_forwarded_addresses_are_ignored() -> None:
    emulator = Emulator()
    with emulator.serving() as url, httpx2.Client(base_url=url) as client:
        client.get("/sign-in", headers={"x-forwarded-proto": "https", "x-forwarded-for": "::1"})
        assert all("secure" not in str(cookie).lower() for cookie in client.cookies.jar)


def test_odd_paths_over_a_socket() -> None:
    with Emulator().serving() as url:
        host = urlsplit(url)
        for target in ("/%ff%00", "/a%2Fb?%zz&&=", "*", "//", "/activate/%E2%80%AE"):
            connection = http.client.HTTPConnection(host.hostname or "", host.port)
            connection.putrequest("OPTIONS" if target == "*" else "GET", target)
            connection.endheaders()
            assert connection.getresponse().status < 500
            connection.close()


def test_ipv6_and_every_address() -> None:
    with Emulator().serving("0.0.0.0") as url, httpx2.Client(base_url=url) as client:
        assert url.startswith("http://127.0.0.1:")
        assert client.get("/").status_code == 200
    try:
        with Emulator().serving("::1") as url, httpx2.Client(base_url=url) as client:
            assert url.startswith("http://[::1]:")
            assert client.get("/emulator/state").status_code == 200
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


def test_a_port_in_use_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError), Emulator().serving(port=port):
            pass
        ended = run_serve(port)
        assert ended.wait(30) == 1
        out, err = ended.communicate()
        assert (out, err) == ("", "OSError\n")


def test_many_requests_at_once() -> None:
    emulator = Emulator()
    token = emulator.issue_tokens()
    statuses: list[int] = []

    def spend(url: str) -> None:
        with httpx2.Client(base_url=url) as client:
            answer = post(
                client,
                "/oauth/token",
                grant_type="refresh_token",
                refresh_token=token["refresh_token"],
            )
            statuses.append(answer.status_code)

    with emulator.serving() as url:
        threads = [threading.Thread(target=spend, args=(url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200] + [400] * 7
    tokens = emulator.state()["tokens"]
    assert tokens["most_arrivals_of_one_refresh_token"] == 8  # type: ignore[index]


def run_serve(port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", SERVE, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )


def test_an_interrupt_ends_the_server_without_output() -> None:
    server = run_serve(0)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    assert httpx2.get(f"{url}/emulator/state").status_code == 200
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=30)
    assert (out, err, server.returncode) == ("ended\n", "", 0)


def test_serving_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def run(server: server._Server, listeners: list[socket.socket]) -> None:
        server._ready()
        with socket.create_connection(listeners[0].getsockname(), timeout=5):
            raise KeyboardInterrupt

    monkeypatch.setattr(server._Server, "run", run)
    server.serve(Emulator(), host="127.0.0.1", port=0, ready=told.append)
    (url,) = told
    with socket.socket() as again, pytest.raises(ConnectionRefusedError):
        again.connect(("127.0.0.1", int(url.rpartition(":")[2])))


def test_importing_the_emulator_imports_no_server_and_no_templates() -> None:
    program = """
import json, sys
from trakt_auth.emulator import Emulator
from trakt_auth.protocol.http import HttpRequest
Emulator().handle(HttpRequest(method="POST", url="http://127.0.0.1/oauth/token"))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert not {"starlette", "uvicorn", "jinja2", "asyncio"} & set(json.loads(ended.stdout))
