"""What a client keeps at the end of the program, and forgets at the start of a forked child."""

from weakref import WeakSet

import pytest

from support.both_clients import APP, key_of, refreshes
from trakt_auth import Client, Endpoints, StoreUnavailable, TokenNotSaved
from trakt_auth.client import base
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import Record


class Flaky(MemoryStore):
    """A store that is away while `away` is true."""

    away = False

    def load(self, key):
        self._check()
        return super().load(key)

    def save(self, *args, **kwargs):
        self._check()
        return super().save(*args, **kwargs)

    def _check(self):
        if self.away:
            raise StoreUnavailable("away")


@pytest.fixture
def store(url, issue):
    store = Flaky()
    store.save(key_of(url), Record(token=issue()).to_payload(), expires_at=None, replacing=None)
    return store


@pytest.fixture
def client(url, store, clock):
    with Client(APP, endpoints=Endpoints.at(url), store=store, clock=clock) as client:
        yield client


@pytest.fixture
def new_token(client, store, monkeypatch):
    """The token of a refresh during which the store went away; no thread offers it again."""
    monkeypatch.setattr(client._retries, "add", client._retries._waiting.add)
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", ())
    send = client._transport.send

    def answered(request, *check):
        answer = send(request, *check)
        store.away = True
        return answer

    monkeypatch.setattr(client._transport, "send", answered)
    with pytest.raises(TokenNotSaved) as caught:
        client.refresh()
    return caught.value.token


def test_what_is_unsaved_is_saved_at_the_end_of_the_program(
    client, store, new_token, url, monkeypatch
):
    monkeypatch.setattr(base, "_clients", WeakSet([client]))
    store.away = False
    base._at_the_end()
    assert Record.from_stored(store.load(key_of(url))).token == new_token


def test_what_cannot_be_saved_yet_stays_unsaved(client, store, new_token, url):
    assert client._save_late("default") is False
    assert client.unsaved() == ["default"]
    store.away = False
    assert client._save_late("default") is True
    assert client.unsaved() == []
    assert Record.from_stored(store.load(key_of(url))).token == new_token


def test_a_child_starts_with_parts_of_its_own(client, emulator):
    parts = [
        client._dependencies.workers,
        client._dependencies.readers,
        client._retries,
        client._cache,
        client._subscribers,
        client._transport,
    ]
    with client.api as api:
        guards = [part._guard for part in (client, *parts)]
        client._start_anew()
        assert not {id(part._guard) for part in (client, *parts)} & {id(one) for one in guards}
        assert client.api is not api
        client.refresh()
    assert refreshes(emulator) == 1
