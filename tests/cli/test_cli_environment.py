"""Environments that are nearly right: quotes, spellings of a letter, encodings, certificates."""

import io
import sys
from datetime import UTC, datetime

import pytest

from trakt_auth.cli import app
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal import drawing
from trakt_auth.errors import StoreUnavailable, TransportError
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.record import AccountKey, pause_to


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("name", ["TRAKT_CLIENT_ID", "TRAKT_AUTH_STORE", "TRAKT_REDIRECT_URI"])
def test_quotes_around_a_variable_are_noticed(cli, quote, name):
    cli.monkeypatch.setenv(name, f"{quote}x{quote}")
    ran = cli("login")
    assert ran.status == 2
    assert f"{name} has quotes" in ran.err


def test_an_account_is_the_same_however_its_letters_are_spelt(cli):
    assert Settings(account="Zoe\u0308").account_name == "Zo\u00eb"
    assert cli("login", "--account", "Zoe\u0308").status == 0
    assert cli("token", "--account", "Zo\u00eb").status == 0


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", True), ("ascii", False), ("latin-1", False)]
)
def test_a_qr_code_is_drawn_on_80_by_24_where_the_encoding_has_it(monkeypatch, encoding, shown):
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    written = io.BytesIO()
    monkeypatch.setattr("sys.stderr", Terminal(written, encoding=encoding))
    drawing.show_device("5055CC52", "https://trakt.tv/activate")
    sys.stderr.flush()
    text = written.getvalue().decode(encoding)
    assert "5055CC52" in text
    assert ("█" in text) is shown
    assert len(text.splitlines()) <= 22  # the countdown and the prompt come below


def test_a_fault_of_tls_names_the_variable_that_mends_it(capsys):
    assert app._report(TransportError("certificate verify failed", outcome_unknown=False)) == 5
    assert "SSL_CERT_FILE" in capsys.readouterr().err


def test_a_file_that_cannot_be_replaced_is_noticed_before_the_person_is_asked(cli):
    cli.sign_in("other")

    def busy(*_, **__):
        raise StoreUnavailable("The file cannot be replaced: Device or resource busy")

    cli.monkeypatch.setattr(FileStore, "save", busy)
    assert cli("login").status == 1
    assert "/oauth/device/code" not in cli.emulator.state()["requests"]


def test_trying_the_store_leaves_nothing_and_loses_no_pause(cli):
    cli.sign_in("other")
    store, key = FileStore(str(cli.file)), AccountKey("emulator", "")
    assert cli("login").status == 0
    assert store.load(key) is None
    payload = pause_to(datetime.now(UTC))
    store.save(key, payload, expires_at=None, replacing=None)
    assert cli("login").status == 0
    assert store.load(key).payload == payload
