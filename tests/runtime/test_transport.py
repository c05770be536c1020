"""The transport: what the network does becomes an error that tells whether anything happened."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import httpx2
import pytest

from trakt_auth.errors import LockTimeout, TransportError, UsageError
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.runtime.deadline import Deadline, _Watch
from trakt_auth.runtime.transport import LARGEST_BODY, HttpTransport
from trakt_auth.testing.in_process import in_process

REQUEST = HttpRequest(method="POST", url="http://trakt.test/oauth/token", body=b"the-secret")


def send(inner, request=REQUEST):
    """Send a request; an error that comes of it is returned, and shows no secret."""
    transport, outcome = HttpTransport(timeout=5, inner=inner), None
    try:
        outcome = transport.send(request)
    except (TransportError, UsageError) as error:
        outcome = error
    transport.close()
    if isinstance(outcome, Exception):
        assert "the-secret" not in str(outcome)
        assert outcome.__cause__ is None
    return outcome


def failing(error):
    def handle(request):
        raise error("said so", request=request)

    return httpx2.MockTransport(handle)


def test_an_answer_is_read_with_lower_case_names():
    def handle(request):
        assert request.body == b"the-secret"
        return HttpResponse(status=418, headers={"X-Tea": "pot"}, body=b"short and stout")

    answer = send(in_process(handle))
    assert (answer.status, answer.headers["x-tea"], answer.body) == (418, "pot", b"short and stout")


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (httpx2.ConnectError, False),
        (httpx2.ConnectTimeout, False),
        (httpx2.PoolTimeout, False),
        (httpx2.ProxyError, False),
        (httpx2.ReadTimeout, True),
        (httpx2.WriteTimeout, True),
        (httpx2.ReadError, True),
        (httpx2.WriteError, True),
        (httpx2.RemoteProtocolError, True),
        (httpx2.DecodingError, True),
    ],
)
def test_whether_it_may_have_been_processed(error, unknown):
    found = send(failing(error))
    assert isinstance(found, TransportError)
    assert found.outcome_unknown is unknown
    assert "trakt.test" in str(found)


def test_a_lost_answer_in_process():
    def handle(request):
        raise ConnectionError("cut")

    assert send(in_process(handle)).outcome_unknown is True


def test_an_answer_without_end_is_cut_off():
    endless = HttpResponse(status=200, body=b" " * (LARGEST_BODY + 1))
    found = send(in_process(lambda request: endless))
    assert "larger than 1 MiB" in str(found)


@contextmanager
def serving(talk):
    """A server on a socket that reads a request, then does what `talk(connection)` does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        got = []

        def run():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                got.append(connection.recv(65536))
                talk(connection)

        thread = threading.Thread(target=run)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/oauth/token"
        yield HttpRequest(method="POST", url=url, body=b"the-secret"), got
        thread.join(20)
        assert not thread.is_alive()


def drip(start, piece):
    def talk(connection):
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            time.sleep(0.001)  # a piece at a time, not all that the buffers hold

    return talk


SLOW = {
    "headers": drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "1xx": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "gzip": drip(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"\0\0\0\xff\xff",  # an empty block
    ),
    "silence": lambda connection: connection.recv(1),
}


@pytest.mark.parametrize("how", SLOW)
def test_a_request_ends_at_its_deadline_however_slowly_bytes_come(how):
    transport = HttpTransport(timeout=0.3)
    transport.prepare()
    start = time.monotonic()
    with serving(SLOW[how]) as (request, got), pytest.raises(TransportError) as caught:
        transport.send(request)
    assert time.monotonic() - start < 5
    assert caught.value.outcome_unknown is True
    assert b"accept-encoding: identity" in got[0].lower()
    transport.close()


def test_a_whole_answer_in_time_is_read():
    body = b'{"access_token": "a"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    more = []

    def talk(connection):
        if b"the-secret" not in got[0]:
            more.append(connection.recv(65536))
        connection.sendall(answer)

    with serving(talk) as (request, got):
        assert HttpTransport(timeout=20).send(request).body == body
    assert b"the-secret" in b"".join(got + more)
    assert b"transfer-encoding" not in got[0].lower()


def test_what_the_check_refuses_is_not_sent():
    """A process that was stopped after connecting may have lost its lock."""

    def refuse():
        raise LockTimeout("the lock has ended")

    with serving(lambda _: None) as (request, got), pytest.raises(LockTimeout):
        HttpTransport(timeout=20).send(request, refuse)
    assert b"the-secret" not in b"".join(got)


def test_a_connection_that_took_too_long_sends_nothing(monkeypatch):
    monkeypatch.setattr("trakt_auth.runtime.deadline.Deadline.left", -1.0)
    with serving(lambda _: None) as (request, got), pytest.raises(TransportError) as caught:
        HttpTransport(timeout=20).send(request)
    assert caught.value.outcome_unknown is False
    assert b"the-secret" not in b"".join(got)


def test_without_a_thread_to_be_had_requests_go_on(monkeypatch):
    def no_thread(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    monkeypatch.setattr("trakt_auth.runtime.deadline._watch", _Watch())
    transport = HttpTransport(timeout=5, inner=in_process(lambda _: HttpResponse(status=204)))
    assert transport.send(REQUEST).status == 204


def test_the_watching_thread_ends_when_there_is_nothing_to_watch(monkeypatch):
    monkeypatch.setattr("trakt_auth.runtime.deadline.IDLE_SECONDS", 0)
    watch = _Watch()
    watch.add(late := Deadline(3600))
    watch.remove(late)
    watch._bell.put(None)
    while watch._runs:
        pass
    assert watch._deadlines == set()


def test_a_url_that_is_none():
    broken = HttpRequest(method="GET", url="http://trakt.test:port/x")
    assert isinstance(
        send(httpx2.MockTransport(lambda _: httpx2.Response(200)), broken), UsageError
    )


def test_whatever_else_breaks_leaves_the_outcome_unknown():
    def handle(request):
        raise RuntimeError("after sending")

    assert send(httpx2.MockTransport(handle)).outcome_unknown is True


def test_redirects_are_not_followed():
    def handle(request):
        return HttpResponse(status=302, headers={"location": "http://evil.test/"})

    assert send(in_process(handle)).status == 302


def test_a_closed_transport_sends_nothing():
    transport = HttpTransport(timeout=5, inner=httpx2.MockTransport(lambda _: 1 / 0))
    transport.close()
    with pytest.raises(UsageError, match="closed"):
        transport.send(REQUEST)


def test_the_tls_settings_are_read_once(monkeypatch):
    transport = HttpTransport(timeout=5)
    assert transport.settings()["verify"] is transport.settings()["verify"]
    transport.start_anew()
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent.pem")
    with pytest.raises(UsageError, match="cannot be made"):
        transport.settings()
    with pytest.raises(UsageError, match="cannot be made"):
        transport.send(REQUEST)


def test_a_child_of_a_fork_starts_with_a_client_of_its_own():
    transport = HttpTransport(timeout=5, inner=in_process(lambda _: HttpResponse(status=204)))
    transport.send(REQUEST)
    transport._guard.acquire()  # by a thread that the child does not have
    before = transport._client
    transport.start_anew()
    assert transport.send(REQUEST).status == 204
    assert transport._client is not before
