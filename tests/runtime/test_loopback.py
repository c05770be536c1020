"""The loopback receiver, over real sockets."""

import _thread
import errno
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from trakt_auth.errors import Cancelled, TraktAuthError, UsageError
from trakt_auth.runtime import loopback
from trakt_auth.runtime.loopback import CallbackReceiver, _Handler

STATE = "s-é/+ &=%"
HTML = "text/html; charset=utf-8"


@pytest.fixture
def port() -> Iterator[int]:
    # Bound but not listening: nobody else is given this port, and the receiver can still have it.
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def uri(port: int) -> str:
    return f"http://127.0.0.1:{port}/callback"


@pytest.fixture
def receiver(uri: str) -> Iterator[CallbackReceiver]:
    with CallbackReceiver(uri, state=STATE, app_name="my <player>") as receiver:
        yield receiver


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()


def ask(
    port: int, target: str, method: str = "GET", *, host: str | None = None, body: bytes = b""
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, target, skip_host=host is not None)
        if host:
            connection.putheader("Host", host)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def target(path: str = "/callback", **fields: str) -> str:
    return f"{path}?{urlencode({'state': STATE, **fields})}"


def nothing_arrived(receiver: CallbackReceiver) -> bool:
    with pytest.raises(TraktAuthError, match="No answer") as caught:
        receiver.wait(0)
    return not isinstance(caught.value, Cancelled)


def eventually(condition) -> bool:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_safe_page(answer: Answer) -> bool:
    assert answer.headers["Content-Type"] == HTML
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Server"] is None
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in answer.text
    assert "http:" not in answer.text
    assert "https:" not in answer.text
    return True


# --- the answer ---


def test_the_redirect_ends_the_wait(receiver, port, uri):
    answer = ask(port, target(code="c0de"))
    assert answer.status == 200
    assert is_safe_page(answer)
    assert "Trakt has answered" in answer.text
    assert "go back to my &lt;player&gt;." in answer.text
    assert "c0de" not in answer.text
    assert receiver.wait() == f"{uri}?{urlencode({'state': STATE, 'code': 'c0de'})}"


def test_wait_wakes_up_for_an_answer_that_comes_later(receiver, port):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receiver.wait, 10)
        ask(port, target(code="later"))
        assert "code=later" in waiting.result(10)


def test_the_query_is_handed_over_as_it_came(receiver, port, uri):
    query = (
        f"code=a%2Bb+c%C3%A9&iss=https%3A%2F%2Fauth.trakt.tv&x=1&x=2&state={quote(STATE, safe='')}"
    )
    assert ask(port, f"/callback?{query}").status == 200
    assert receiver.wait(10) == f"{uri}?{query}"
    assert parse_qs(urlsplit(receiver.wait(10)).query)["code"] == ["a+b cé"]


def test_a_very_long_code_is_accepted(receiver, port):
    assert ask(port, target(code="x" * 60_000)).status == 200
    assert len(receiver.wait(10)) > 60_000


def test_denial_says_that_nothing_was_granted(receiver, port):
    answer = ask(port, target(error="access_denied", error_description="not shown"))
    assert answer.status == 200
    assert is_safe_page(answer)
    assert "Nothing was granted" in answer.text
    assert "not shown" not in answer.text
    assert "error=access_denied" in receiver.wait(10)


def test_another_error_is_shown_escaped_and_on_one_line(receiver, port):
    said = "<b onclick=x>&\"'\x00\r\n\u202eevil"
    answer = ask(port, target(error="<i>", error_description=said))
    assert answer.status == 200
    assert is_safe_page(answer)
    assert "Trakt reported an error" in answer.text
    assert "<p>&lt;i&gt;: &lt;b onclick=x&gt;&amp;&quot;&#x27;    evil</p>" in answer.text
    assert "error=%3Ci%3E" in receiver.wait(10)


def test_an_error_needs_no_description(receiver, port):
    assert "<p>server_error</p>" in ask(port, target(error="server_error")).text


def test_one_description_is_shown(receiver, port):
    answer = ask(port, target(error="e") + "&error_description=one&error_description=two")
    assert "<p>e: one</p>" in answer.text


def test_long_errors_are_cut(receiver, port):
    answer = ask(port, target(error="e" * 5000, error_description="d" * 5000))
    assert "<p>" + "e" * 300 + "…: " + "d" * 300 + "…</p>" in answer.text


def test_the_page_without_an_app_name(port, uri):
    with CallbackReceiver(uri, state="s"):
        assert "go back to the program." in ask(port, "/callback?state=s&code=c").text


def test_a_second_answer_changes_nothing(receiver, port):
    ask(port, target(code="first"))
    for again in (target(code="first"), target(code="second"), target(error="access_denied")):
        answer = ask(port, again)
        assert answer.status == 410
        assert is_safe_page(answer)
        assert "Already answered" in answer.text
    assert "code=first" in receiver.wait(10)


def test_only_one_of_many_at_once_is_accepted(receiver, port):
    with ThreadPoolExecutor(16) as pool:
        targets = [target(code=f"c{number}") for number in range(16)]
        answers = list(pool.map(lambda wanted: ask(port, wanted), targets))
    assert sorted(answer.status for answer in answers) == [200] + [410] * 15
    winner = [answer.status for answer in answers].index(200)
    assert receiver.wait(10).endswith(f"code=c{winner}")


def test_a_browser_that_hangs_up_early_loses_no_code(receiver, port, monkeypatch):
    def broken(self, page):
        raise BrokenPipeError

    monkeypatch.setattr("trakt_auth.runtime.loopback._Handler._send", broken)
    assert (
        raw(port, f"GET {target(code='kept')} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        == b""
    )
    assert "code=kept" in receiver.wait(10)


def test_the_wait_ends_only_after_the_page_was_sent(receiver, port, monkeypatch):
    written = threading.Event()
    real = http.server.BaseHTTPRequestHandler.end_headers

    def slow(self):
        assert nothing_arrived(receiver)
        written.set()
        real(self)

    monkeypatch.setattr("trakt_auth.runtime.loopback._Handler.end_headers", slow)
    assert ask(port, target(code="c")).status == 200
    assert written.is_set()
    assert "code=c" in receiver.wait(10)


# --- everything else ---

GOOD = urlencode({"state": STATE})


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=c",
        "code=c&state=",
        "code=c&state=wrong",
        f"code=c&{GOOD}x",
        f"code=c&{GOOD}&{GOOD}",
        f"code=c&{GOOD}&state=wrong",
        f"code=c&{GOOD}&state",
        f"code=c&{GOOD}#",
        f"{GOOD}&code=c#x",
        f"{GOOD}",
        f"{GOOD}&code=",
        f"{GOOD}&code",
        f"{GOOD}&error=",
        f"{GOOD}&code=c&code=c",
        f"{GOOD}&code=c&code=",
        f"{GOOD}&error=e&error=e",
        f"{GOOD}&code=c&error=access_denied",
        f"{GOOD};code=c",
        f"code=c&State={quote(STATE)}",
        "code=c&state=%ff",
        "code=c&state=%ed%a0%80",
    ],
)
def test_what_is_not_the_answer_gets_400_and_the_wait_goes_on(receiver, port, query):
    answer = ask(port, f"/callback?{query}")
    assert answer.status == 400
    assert is_safe_page(answer)
    assert "Not the expected answer" in answer.text
    assert "wrong" not in answer.text
    assert "player" not in answer.text
    assert nothing_arrived(receiver)
    assert ask(port, target(code="real")).status == 200
    assert "code=real" in receiver.wait(10)


@pytest.mark.parametrize("strange", [b"\xe9", b"\x7f", b"\x00", b"\x1b[31m"])
def test_bytes_that_no_browser_sends_are_refused(receiver, port, strange):
    wanted = target(code="c").encode() + strange
    response = raw(port, b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (wanted, port))
    assert response.startswith(b"HTTP/1.0 400 ")
    assert nothing_arrived(receiver)


def test_a_state_that_utf8_cannot_spell_matches_nothing(port, uri):
    with CallbackReceiver(uri, state="\ud800") as receiver:
        for spelled in ("%ed%a0%80", "%3F", ""):
            assert ask(port, f"/callback?code=c&state={spelled}").status == 400
        assert nothing_arrived(receiver)


@pytest.mark.parametrize(
    "path",
    ["/", "/favicon.ico", "/callback/", "/Callback", "//callback", "/callbac%6b", "/a/../callback"],
)
def test_another_path_is_not_found(receiver, port, path):
    answer = ask(port, target(path, code="c"))
    assert answer.status == 404
    assert is_safe_page(answer)
    assert "favicon" not in answer.text
    assert nothing_arrived(receiver)


def test_an_absolute_target_is_another_path(receiver, port, uri):
    assert ask(port, f"{uri}?code=c&{GOOD}").status == 404


@pytest.mark.parametrize(
    "host",
    [
        "localhost:{}",
        "127.0.0.1",
        "127.0.0.1:1",
        "evil.example:{}",
        "127.0.0.1:{}.evil.example",
        "u@127.0.0.1:{}",
    ],
)
def test_another_host_is_misdirected(receiver, port, host):
    answer = ask(port, target(code="c"), host=host.format(port))
    assert answer.status == 421
    assert is_safe_page(answer)
    assert nothing_arrived(receiver)


@pytest.mark.parametrize(
    "headers",
    [
        b"HTTP/1.0\r\n",
        b"HTTP/1.1\r\nHost:\r\n",
        b"HTTP/1.1\r\nHost: 127.0.0.1:%(port)d\r\nHost: 127.0.0.1:%(port)d\r\n",
        b"HTTP/1.1\r\nHost: 127.0.0.1:%(port)d\r\nhost: evil.example\r\n",
        b"HTTP/1.1\r\nHost: 127.0.0.1:%(port)d\r\n evil\r\n",
    ],
)
def test_exactly_one_host_is_needed(receiver, port, headers):
    line = f"GET {target(code='c')} ".encode()
    response = raw(port, line + headers % {b"port": port} + b"\r\n")
    assert response.startswith(b"HTTP/1.0 421 ")
    assert nothing_arrived(receiver)


def test_the_host_is_compared_without_case(port):
    with CallbackReceiver(f"http://LocalHost:{port}/cb", state=STATE) as receiver:
        assert ask(port, target("/cb", code="c"), host=f"LOCALHOST:{port}").status == 200
        assert receiver.wait(10).startswith(f"http://LocalHost:{port}/cb?")


def test_the_default_port_is_left_out_by_browsers():
    inbox = CallbackReceiver("http://localhost:80/cb", state="s")._inbox
    assert inbox.page_for("/cb?state=s&code=c", ["localhost"]).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "<SCRIPT>"])
def test_only_get_is_allowed(receiver, port, method):
    answer = ask(port, target(code="c"), method, body=b"code=c" if method == "POST" else b"")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"
    assert is_safe_page(answer)
    assert "SCRIPT" not in answer.text
    assert nothing_arrived(receiver)


def test_head_is_answered_without_a_body_and_without_ending_the_wait(receiver, port):
    response = raw(
        port, f"HEAD {target(code='c')} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    )
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 405 ")
    assert b"Allow: GET" in head
    assert body == b""
    assert nothing_arrived(receiver)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
    ],
)
def test_the_limits_of_the_standard_library_hold(receiver, port, request_, status):
    try:
        response = raw(port, request_)
    except ConnectionError:  # refused before all of it was read
        response = b"HTTP/1.0 " + status
    assert response.startswith(b"HTTP/1.0 " + status)
    assert nothing_arrived(receiver)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n",
        b"a b c d\r\n\r\n",
        b"GET /callback\r\n\r\n",
        b"GET /callback HTTP/2.0\r\n\r\n",
    ],
)
def test_garbage_does_not_hurt(receiver, port, garbage, capfd):
    raw(port, garbage)
    assert nothing_arrived(receiver)
    assert ask(port, target(code="c")).status == 200
    assert capfd.readouterr() == ("", "")


# --- idle and broken connections ---


def test_idle_connections_hold_up_neither_the_answer_nor_closing(port, uri):
    idle = []
    try:
        with CallbackReceiver(uri, state=STATE) as receiver:
            idle = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(20)]
            idle[0].sendall(b"GET /callb")
            assert ask(port, target(code="c")).status == 200
            assert "code=c" in receiver.wait(5)
            began = time.monotonic()
        assert time.monotonic() - began < 2
        # Closing woke their handlers, which hung up.
        for sock in idle[1:]:
            assert hung_up(sock)
    finally:
        for sock in idle:
            sock.close()


def hung_up(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_slow_connection_is_dropped(receiver, port, monkeypatch, capfd):
    assert 1 <= _Handler.timeout <= 30
    monkeypatch.setattr(_Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET /callback HTTP/1.1\r\nHost:")
        assert sock.recv(1) == b""
    assert capfd.readouterr() == ("", "")


def test_a_reset_connection_is_nobodys_affair(receiver, port, capfd):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.sendall(b"GET /callb")
    assert ask(port, target(code="c")).status == 200
    assert eventually(lambda: not handlers())
    assert capfd.readouterr() == ("", "")


def handlers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "process_request" in thread.name]


# --- waiting ---


def test_timeout(receiver):
    began = time.monotonic()
    with pytest.raises(TraktAuthError, match=r"within 0\.2 seconds") as caught:
        receiver.wait(0.2)
    assert 0.2 <= time.monotonic() - began < 2
    assert "device code" in caught.value.hint


def test_a_timeout_leaves_the_receiver_listening(receiver, port):
    assert nothing_arrived(receiver)
    ask(port, target(code="c"))
    assert "code=c" in receiver.wait(10)


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_cancel_event_ends_the_wait(receiver, timeout):
    cancel = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receiver.wait, timeout, cancel)
        cancel.set()
        with pytest.raises(Cancelled):
            waiting.result(5)


def test_a_cancel_event_that_is_set_already(receiver):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        receiver.wait(0, cancel)


@pytest.mark.parametrize("name", ["cancel", "close"])
def test_cancel_and_close_end_the_wait_from_another_thread(receiver, name):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receiver.wait)
        getattr(receiver, name)()
        with pytest.raises(Cancelled):
            waiting.result(5)


def test_an_answer_outlives_closing(port, uri):
    with CallbackReceiver(uri, state=STATE) as receiver:
        ask(port, target(code="c"))
    assert "code=c" in receiver.wait(10)
    receiver.close()


def test_waiting_before_listening_is_a_mistake(uri):
    with pytest.raises(UsageError, match="with"):
        CallbackReceiver(uri, state="s").wait(0)


def test_an_interrupt_ends_the_wait_and_frees_the_port(uri):
    timer = threading.Timer(0.1, _thread.interrupt_main)
    with CallbackReceiver(uri, state=STATE) as receiver:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            receiver.wait()
    timer.join()
    with CallbackReceiver(uri, state=STATE):
        pass


PROGRAM = """
import sys
from trakt_auth.runtime.loopback import CallbackReceiver
try:
    with CallbackReceiver(sys.argv[1], state="s") as receiver:
        print("ready", flush=True)
        receiver.wait()
except KeyboardInterrupt:
    CallbackReceiver(sys.argv[1], state="s").__enter__().close()
    print("free")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_control_c_in_a_real_program(port, uri):
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM, uri]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as program:
        try:
            assert program.stdout.readline() == "ready\n"
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                program.send_signal(signal.SIGINT)
                assert program.communicate(timeout=20) == ("free\n", "")
        finally:
            program.kill()


# --- the address ---


def test_only_the_loopback_address_is_bound(receiver, port):
    assert receiver._servers[0].server_address == ("127.0.0.1", port)
    for elsewhere in ("127.0.0.2", *outer_addresses()):
        with socket.socket() as sock:
            sock.settimeout(2)
            assert sock.connect_ex((elsewhere, port)) != 0


def outer_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return []
        return [sock.getsockname()[0]]


def test_localhost_is_bound_on_ipv4(port):
    with CallbackReceiver(f"http://localhost:{port}/cb", state="s") as receiver:
        assert receiver._servers[0].server_address == ("127.0.0.1", port)
        assert ask(port, "/cb?state=s&code=c").status == 421
        assert ask(port, "/cb?state=s&code=c", host=f"localhost:{port}").status == 200


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def on_ipv6(port: int) -> socket.socket:
    other = socket.socket(socket.AF_INET6)
    other.bind(("::1", port))
    other.listen()
    return other


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_localhost_is_bound_on_both_families(port):
    with CallbackReceiver(f"http://localhost:{port}/", state=STATE):
        for host in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(host, port, timeout=10)
            connection.request("GET", target("/", code="c"), headers={"Host": f"localhost:{port}"})
            assert connection.getresponse().status in (200, 410)
            connection.close()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_localhost_that_another_program_listens_on_is_refused(port):
    receiver = CallbackReceiver(f"http://localhost:{port}/", state=STATE)
    with on_ipv6(port), pytest.raises(UsageError, match="Cannot listen on ::1"):
        receiver.__enter__()
    with receiver:  # and nothing of the first attempt is left behind
        assert len(receiver._servers) == 2


def test_localhost_without_ipv6(port, monkeypatch):
    def only_ipv4(host, *rest):
        if ":" in host:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return server(host, *rest)

    server = loopback._Server
    monkeypatch.setattr(loopback, "_Server", only_ipv4)
    with CallbackReceiver(f"http://localhost:{port}/", state=STATE) as receiver:
        assert len(receiver._servers) == 1
    with (
        pytest.raises(UsageError, match="Cannot assign"),
        CallbackReceiver(f"http://[::1]:{port}/", state=STATE),
    ):
        pass


def test_dripping_connections_hold_few_threads_and_no_answer_up(receiver, port, uri, monkeypatch):
    monkeypatch.setattr(_Handler, "timeout", 60)
    with ExitStack() as opened:
        for _ in range(150):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            opened.enter_context(sock)
            with suppress(OSError):
                sock.sendall(b"GET /callback HTTP/1.1\r\nX")
        assert ask(port, "/other").status == 404  # so all of them have been accepted
        assert eventually(lambda: len(handlers()) <= 34)
        ask(port, target(code="c"))
        assert receiver.wait(10) == uri + target("", code="c")


def test_a_connection_that_drips_is_dropped(receiver, port, monkeypatch):
    class Clock:
        @staticmethod
        def monotonic():
            return time.monotonic() + ahead[0]

    ahead = [0.0]
    monkeypatch.setattr(loopback, "time", Clock)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET /callback HTTP/1.1\r\nX")
        assert eventually(lambda: len(receiver._servers[0]._deadlines) == 1)
        ahead[0] = _Handler.timeout - 1
        sock.sendall(b"-")
        ahead[0] = _Handler.timeout
        assert hung_up(sock)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_ipv6(port):
    with CallbackReceiver(f"http://[::1]:{port}/cb", state="s") as receiver:
        connection = http.client.HTTPConnection("::1", port, timeout=10)
        connection.request("GET", "/cb?state=s&code=c")
        assert connection.getresponse().status == 200
        connection.close()
        assert receiver.wait(10) == f"http://[::1]:{port}/cb?state=s&code=c"


def test_ipv6_is_bound_on_its_loopback_address_alone():
    receiver = CallbackReceiver("http://[::1]:8765/cb", state="s")
    assert (receiver._addresses, receiver._port) == (["::1"], 8765)


def test_a_uri_without_a_path_is_answered_at_the_root(port):
    with CallbackReceiver(f"http://127.0.0.1:{port}", state="s") as receiver:
        assert ask(port, "/?state=s&code=c").status == 200
        assert receiver.wait(10) == f"http://127.0.0.1:{port}?state=s&code=c"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port(address):
    with socket.socket() as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        receiver = CallbackReceiver(f"http://127.0.0.1:{port}/callback", state="s")
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1, port {port}: ") as caught:
            receiver.__enter__()
        assert "TRAKT_REDIRECT_URI" in caught.value.hint
        assert "device code" in caught.value.hint
        receiver.close()


def test_two_receivers_do_not_share_a_port(receiver, uri):
    with pytest.raises(UsageError), CallbackReceiver(uri, state="t"):
        pytest.fail("shared")


def test_the_port_is_free_right_after_closing(port, uri):
    for number in range(5):
        with CallbackReceiver(uri, state=STATE) as receiver:
            assert ask(port, target(code=f"c{number}")).status == 200
            assert receiver.wait(10).endswith(f"code=c{number}")
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def test_no_thread_is_left_behind(port, uri):
    with CallbackReceiver(uri, state=STATE):
        ask(port, target(code="c"))
    assert eventually(lambda: not handlers())
    assert eventually(lambda: "trakt-auth-callback" not in {t.name for t in threading.enumerate()})


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://127.0.0.1:8765/callback",
        "https://app.example/callback",
        "myapp://callback",
        "http://example.com:8765/callback",
        "http://127.0.0.1.example.com:8765/callback",
        "http://127.0.0.2:8765/callback",
        "http://0.0.0.0:8765/callback",
        "http://[::]:8765/callback",
        "http://::1:8765/callback",
        "http://localho\u017ft:8765/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:08765/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:\u0664\u0664/callback",
        "http://127.0.0.1:port/callback",
        "http://user:pa55@127.0.0.1:8765/callback",
        "http://127.0.0.1:8765@evil.example/callback",
        "http://127.0.0.1:8765/callback?x=1",
        "http://127.0.0.1:8765/callback?",
        "http://127.0.0.1:8765/callback#x",
        "http://127.0.0.1:8765/callback#",
        "http://127.0.0.1:8765/call back",
        "http://127.0.0.1:8765/caf\u00e9",
        "http://127.0.0.1:8765/callback\n",
        " http://127.0.0.1:8765/callback",
    ],
)
def test_other_redirect_uris_are_refused(uri):
    with pytest.raises(UsageError) as caught:
        CallbackReceiver(uri, state="s")
    assert "http://127.0.0.1:8765/callback" in caught.value.hint
    assert "Trakt" in caught.value.hint
    assert "pa55" not in str(caught.value)


def test_an_empty_state_is_refused(uri):
    with pytest.raises(UsageError, match="state"):
        CallbackReceiver(uri, state="")


# --- silence ---


def test_nothing_is_printed_and_nothing_secret_is_shown(receiver, port, capfd):
    ask(port, target(code="c0de"))
    ask(port, target(code="c0de"))
    ask(port, "/favicon.ico")
    assert "c0de" in receiver.wait(10)
    page = receiver._inbox.page_for(target(code="c0de"), [f"127.0.0.1:{port}"])
    shown = [repr(thing) for thing in (receiver, receiver._inbox, receiver._servers[0], page)]
    assert capfd.readouterr() == ("", "")
    assert not [
        text for text, secret in itertools.product(shown, ("c0de", STATE)) if secret in text
    ]
