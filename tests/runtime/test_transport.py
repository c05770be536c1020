"""The transport: what the network does becomes an error that tells whether anything happened."""

import httpx2
import pytest

from trakt_auth.errors import TransportError, UsageError
from trakt_auth.protocol.http import HttpRequest, HttpResponse
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


def test_an_answer_that_drips_is_cut_off(monkeypatch):
    ticks = iter(range(0, 1000, 3))
    monkeypatch.setattr("trakt_auth.runtime.transport.time.monotonic", lambda: next(ticks))

    def drip(pieces):
        def handle(request):
            return httpx2.Response(200, content=iter([b"x"] * pieces))

        transport = HttpTransport(timeout=2, inner=httpx2.MockTransport(handle))
        try:
            return transport.send(REQUEST)
        finally:
            transport.close()

    with pytest.raises(TransportError, match="too long"):
        drip(pieces=2)
    assert drip(pieces=1).body == b"x"  # slow, but whole: a token in it must not be lost


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
    assert transport.tls_context() is transport.tls_context()
    transport.start_anew()
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent.pem")
    with pytest.raises(UsageError, match="cannot be made"):
        transport.tls_context()
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
