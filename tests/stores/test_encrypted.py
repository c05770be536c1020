"""Encrypted payloads: which can be decrypted, which cannot, and which are never overwritten."""

import base64
import json
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trakt_auth
from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreUnavailable, UsageError
from trakt_auth.protocol.token import Token
from trakt_auth.stores import open_store
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import TOMBSTONE, AccountKey, Record, Stored, pause_to
from trakt_auth.stores.wrappers.encrypted import EncryptedStore, key_id

KEY = AccountKey("client", "default")
KNOWN = (
    "trakt-auth-encrypted:1:01870bc256e00c2b:zAcE"
    "WvJJ94czCEnUj77sYr5n_b-CUtmOYaBhM50MANFwOfentiIYGG_EJQ"
)
END = datetime(2026, 11, 30, 12, tzinfo=UTC)
OLD, NEW, THIRD = (base64.b64encode(bytes([n] * 32)).decode().rstrip("=") for n in (1, 2, 3))
NAMES = st.text(st.characters() | st.characters(categories=["Cs"]))
TOKEN = Token(
    access_token="geheim-access", refresh_token="geheim-refresh", created_at=END, expires_at=END
)
PLAIN = Record(token=TOKEN).to_payload()


@pytest.fixture
def inner():
    return MemoryStore()


def put(store, text=PLAIN, key=KEY, *, replacing=None):
    return store.save(key, text, expires_at=END, replacing=replacing)


def encrypted_by(key, text=PLAIN, where=KEY):
    inner = MemoryStore()
    put(EncryptedStore(inner, [key]), text, where)
    return inner.load(where).payload


# -- decrypting ----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(text=NAMES.filter(bool), client_id=NAMES, account=NAMES.filter(bool))
def test_a_payload_is_decrypted_as_its_own_record_only(text, client_id, account):
    inner, key = MemoryStore(), AccountKey(client_id, account)
    store = EncryptedStore(inner, [NEW])
    version = put(store, text, key)
    assert store.load(key) == Stored(payload=text, version=version, expires_at=END)
    encrypted = inner.load(key).payload
    assert encrypted.startswith(f"trakt-auth-encrypted:1:{key_id(NEW)}:")
    assert encrypted.isascii()
    for other in (
        AccountKey(client_id, account + "x"),
        AccountKey(client_id + account[:1], account[1:] or "x"),
        AccountKey(account, client_id or "x"),
        AccountKey(f"{client_id}x", account),
    ):
        if other != key:
            put(inner, encrypted, other)
            with pytest.raises(StoreCorrupt):
                store.load(other)


def test_two_accounts_with_the_same_characters_are_told_apart(inner):
    store = EncryptedStore(inner, [NEW])
    put(store, PLAIN, AccountKey("a", "1:bc"))
    put(inner, inner.load(AccountKey("a", "1:bc")).payload, AccountKey("a1:b", "c"))
    with pytest.raises(StoreCorrupt):
        store.load(AccountKey("a1:b", "c"))


def test_encrypting_twice_gives_two_texts():
    assert len({encrypted_by(NEW) for _ in range(50)}) == 50


def test_the_format_of_an_encrypted_payload_never_changes(inner):
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert key_id(key) == KNOWN.split(":")[2]
    put(inner, KNOWN)
    assert EncryptedStore(inner, [key]).load(KEY).payload == '{"known": true}'


def test_every_changed_bit_is_detected(inner):
    encrypted = encrypted_by(NEW, '{"format": 1}')
    store = EncryptedStore(inner, [NEW])
    tried = 0
    for position, letter in enumerate(encrypted):
        for bit in range(7):
            slip = chr(ord(letter) ^ (1 << bit))
            put(inner, encrypted[:position] + slip + encrypted[position + 1 :])
            with pytest.raises((StoreCorrupt, StoreUnavailable)) as caught:
                store.load(KEY)
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
            tried += 1
    assert tried == 7 * len(encrypted)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_cut_and_mixed_payloads_are_detected(data):
    one, two = encrypted_by(NEW, '{"one": 1}'), encrypted_by(NEW, '{"two": 2}')
    start, end = data.draw(st.integers(0, len(one))), data.draw(st.integers(0, len(two)))
    mixed = one[:start] + two[end:]
    inner = MemoryStore()
    put(inner, mixed)
    try:
        opened = EncryptedStore(inner, [NEW]).load(KEY).payload
    except (StoreCorrupt, StoreUnavailable):
        return
    assert opened == {one: '{"one": 1}', two: '{"two": 2}', "": ""}[mixed]


@pytest.mark.parametrize(
    "text",
    ["trakt-auth-encrypted:", "trakt-auth-encrypted:1", "trakt-auth-encrypted:1:", "rubbish",
     "[]", "null",
     f"trakt-auth-encrypted:1:{key_id(NEW)}", f"trakt-auth-encrypted:1:{key_id(NEW)}:",
     f"trakt-auth-encrypted:1:{key_id(NEW)}:\n", f"trakt-auth-encrypted:1:{key_id(NEW)}:ä"],
)  # fmt: skip
def test_text_that_is_no_payload(inner, text):
    put(inner, text)
    with pytest.raises((StoreCorrupt, StoreUnavailable)):
        EncryptedStore(inner, [NEW]).load(KEY)


# -- the wrong key, no key -----------------------------------------------------------------------


def test_a_missing_key_is_named_and_nothing_is_overwritten(inner):
    version = put(EncryptedStore(inner, [OLD]))
    there = inner.load(KEY)
    wrong = EncryptedStore(inner, [NEW, THIRD])
    for call in (
        lambda: wrong.load(KEY),
        lambda: put(wrong, "a new login"),
        lambda: wrong.reencrypt(KEY),
        lambda: wrong.reencrypt(KEY, plain=True),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            call()
        said = f"{caught.value} {caught.value.hint}"
        assert key_id(OLD) in said
        assert "TRAKT_AUTH_KEY" in said
        assert not any(key in said for key in (OLD, NEW, THIRD, "geheim"))
        assert inner.load(KEY) == there
    assert there.version == version


def test_without_keys_the_error_names_the_missing_one(inner):
    put(EncryptedStore(inner, [OLD]))
    with pytest.raises(StoreUnavailable, match="encrypted") as caught:
        Record.from_stored(inner.load(KEY))
    assert key_id(OLD) in str(caught.value)
    assert "TRAKT_AUTH_KEY" in caught.value.hint


@pytest.mark.parametrize("text", ["trakt-auth-encrypted:", "trakt-auth-encrypted:9:\n\033[0m:x"])
def test_without_keys_an_invalid_payload_is_encrypted_too(text):
    with pytest.raises(StoreUnavailable) as caught:
        Record.from_stored(Stored(payload=text, version=1))
    assert str(caught.value).isprintable()


def test_a_newer_format_is_left_alone(inner):
    put(inner, f"trakt-auth-encrypted:2:{key_id(NEW)}:x")
    store = EncryptedStore(inner, [NEW])
    for call in (lambda: store.load(KEY), lambda: put(store), lambda: store.reencrypt(KEY)):
        with pytest.raises(StoreUnavailable, match="newer"):
            call()


def test_a_new_login_replaces_a_damaged_record(inner):
    put(inner, encrypted_by(NEW)[:-4])
    store = EncryptedStore(inner, [NEW])
    with pytest.raises(StoreCorrupt):
        store.reencrypt(KEY)
    put(store, '{"new": 1}')
    assert store.load(KEY).payload == '{"new": 1}'


def test_a_file_that_is_damaged_is_moved_aside(tmp_path):
    path = tmp_path / "tokens.json"
    path.write_text("rubbish")
    store = open_store(f"file:{path}", keys=[NEW])
    with pytest.raises(StoreCorrupt):
        store.load(KEY)
    put(store)
    assert store.load(KEY).payload == PLAIN
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 1


def test_a_new_login_does_not_overwrite_what_another_key_encrypts_meanwhile(inner):
    put(inner)
    other = EncryptedStore(inner, [OLD])
    store = EncryptedStore(inner, [NEW])
    look = inner.load

    def overtaken(key):
        there = look(key)
        inner.load = look
        put(other, replacing=there.version)
        return there

    inner.load = overtaken
    with pytest.raises(StoreUnavailable):
        put(store, "a new login")
    assert other.load(KEY).payload == PLAIN


# -- from plain to encrypted, from key to key, and back ------------------------------------------


def test_a_plain_record_is_read_and_encrypted_by_the_next_save(inner):
    version = put(inner)
    store = EncryptedStore(inner, [NEW])
    assert store.load(KEY) == inner.load(KEY)
    put(store, replacing=version)
    assert inner.load(KEY).payload != PLAIN
    assert store.load(KEY).payload == PLAIN


def test_changing_the_key(inner):
    put(EncryptedStore(inner, [OLD]))
    both = EncryptedStore(inner, [NEW, OLD])
    assert both.load(KEY).payload == PLAIN
    assert EncryptedStore(inner, [OLD, NEW]).reencrypt(KEY) is False
    assert both.reencrypt(KEY) is True
    assert both.reencrypt(KEY) is False
    assert EncryptedStore(inner, [NEW]).load(KEY) == both.load(KEY)
    assert both.load(KEY).expires_at == END
    with pytest.raises(StoreUnavailable):
        EncryptedStore(inner, [OLD]).load(KEY)
    assert both.reencrypt(KEY, plain=True) is True
    assert both.reencrypt(KEY, plain=True) is False
    assert inner.load(KEY).payload == PLAIN
    assert both.reencrypt(AccountKey("client", "missing")) is False


def test_a_conditional_save_raises_the_conflict(inner):
    version = put(EncryptedStore(inner, [NEW]))
    with pytest.raises(StoreConflict):
        put(EncryptedStore(inner, [NEW]), replacing=version + 1)


def test_the_record_of_the_application_is_not_encrypted(inner):
    notes = AccountKey("client", "")
    store = EncryptedStore(inner, [NEW])
    text = pause_to(END)
    version = store.save(notes, text, expires_at=None, replacing=None)
    assert inner.load(notes).payload == text
    assert store.load(notes).payload == text
    assert store.reencrypt(notes) is False
    assert inner.load(notes).version == version


def test_reencrypting_loses_no_refresh(tmp_path):
    """Two threads count up while a third one changes the key; no step of the count is lost."""
    url, times = f"sqlite:{tmp_path}/tokens", 40
    put(open_store(url, keys=[OLD]), '{"n": 0}')
    done, failed, reencrypted = threading.Event(), [], []

    def count():
        store, counted = open_store(url, keys=[OLD, NEW]), 0
        while counted < times:
            stored = store.load(KEY)
            text = json.dumps({"n": json.loads(stored.payload)["n"] + 1})
            try:
                put(store, text, replacing=stored.version)
                counted += 1
            except StoreConflict:
                pass

    def turn():
        store = open_store(url, keys=[NEW, OLD])
        while not done.is_set():
            reencrypted.append(store.reencrypt(KEY))

    def noted(work):
        try:
            work()
        except BaseException as error:
            failed.append(error)
            raise

    counters = [threading.Thread(target=noted, args=(count,)) for _ in range(2)]
    turner = threading.Thread(target=noted, args=(turn,))
    for thread in (turner, *counters):
        thread.start()
    for thread in counters:
        thread.join(60)
    done.set()
    turner.join(60)
    assert failed == []
    assert True in reencrypted
    assert json.loads(open_store(url, keys=[OLD, NEW]).load(KEY).payload)["n"] == 2 * times


# -- nothing leaks -------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["sqlite", "file"])
def test_nothing_is_readable_on_the_disk(tmp_path, engine):
    store = open_store(f"{engine}:{tmp_path}/tokens", keys=[NEW])
    version = put(store)
    put(store, replacing=version)
    found = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"trakt-auth-encrypted" in found
    for secret in (b"geheim", b"access_token", NEW.encode()):
        assert secret not in found
    store.close()
    if engine == "sqlite":
        with sqlite3.connect(tmp_path / "tokens") as database:
            ((payload,),) = database.execute("SELECT payload FROM records").fetchall()
        assert payload.startswith(b"trakt-auth-encrypted:1:")
        database.close()


def test_keys_are_not_shown(inner):
    store = EncryptedStore(inner, [NEW])
    assert NEW not in repr(store)
    assert NEW not in str(vars(store))
    assert store.key_id == key_id(NEW) != key_id(OLD)
    assert len(key_id(NEW)) == 16


@pytest.mark.parametrize(
    "key", ["", "geheim", NEW[:-1], NEW + "A", NEW + "ä", "\0", NEW[:-1] + "!"]
)
def test_texts_that_are_no_key(inner, key):
    for call in (lambda: EncryptedStore(inner, [NEW, key]), lambda: key_id(key)):
        with pytest.raises(UsageError) as caught:
            call()
        assert "rekey --generate" in caught.value.hint
        assert not key.strip("\0") or key not in f"{caught.value}{caught.value.hint}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("keys", [(), [], NEW])
def test_values_that_are_no_list_of_keys(inner, keys):
    with pytest.raises(UsageError):
        EncryptedStore(inner, keys)


def test_other_spellings_of_a_key(inner):
    raw = bytes(range(224, 256))
    one, two = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert one != two
    assert key_id(one) == key_id(f" {two}\n") == key_id(two)


# -- open_store ----------------------------------------------------------------------------------


def test_open_store_encrypts_only_if_it_is_given_keys(tmp_path):
    assert isinstance(open_store(f"file:{tmp_path}/t"), FileStore)
    assert isinstance(open_store(f"file:{tmp_path}/t", keys=[NEW]), EncryptedStore)


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(UsageError) as caught:
        open_store(f"file:{tmp_path}/t", keys=[NEW])
    assert "trakt-auth[encryption]" in caught.value.hint


def test_without_a_key_the_library_is_not_loaded(tmp_path):
    put(open_store(f"file:{tmp_path}/t"))
    program = (
        "import sys; from trakt_auth.stores import open_store;"
        "from trakt_auth.stores.record import AccountKey, Record;"
        f"s = open_store('file:{tmp_path}/t').load(AccountKey('client', 'default'));"
        "Record.from_stored(s); print('cryptography' in sys.modules)"
    )
    source = str(Path(trakt_auth.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": source}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_an_empty_payload_is_readable_without_a_key() -> None:
    """A record of a fallback store that was emptied must not need a key."""
    inner = MemoryStore()
    EncryptedStore(inner, [OLD]).save(KEY, "", expires_at=None, replacing=None)
    for store in (inner, EncryptedStore(inner, [NEW])):
        stored = store.load(KEY)
        assert stored is not None
        assert stored.payload == ""
    assert EncryptedStore(inner, [NEW]).reencrypt(KEY) is False


def test_a_record_that_is_encrypted_between_reading_and_saving_stays() -> None:
    class Store(MemoryStore):
        def load(self, key: AccountKey) -> Stored | None:
            found = super().load(key)
            if not looked:
                looked.append(key)
                EncryptedStore(self, [OLD]).save(key, "{}", expires_at=None, replacing=0)
            return found

    looked: list[AccountKey] = []
    inner = Store()
    with pytest.raises(StoreUnavailable, match="key"):
        EncryptedStore(inner, [NEW]).save(KEY, '{"mine": 1}', expires_at=None, replacing=None)
    assert EncryptedStore(inner, [OLD]).load(KEY) is not None


# -- once everything is encrypted ------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def kept(request, tmp_path):
    inner = MemoryStore() if request.param == "memory" else open_store(f"sqlite:{tmp_path}/tokens")
    yield inner
    inner.close()


def test_an_unencrypted_record_is_refused_once_encryption_is_required(kept):
    store = EncryptedStore(kept, [NEW])
    put(kept)
    assert store.load(KEY).payload == PLAIN
    assert store.reencrypt(KEY)
    store.require_encryption("client")
    assert store.load(KEY).payload == PLAIN
    assert list(store.accounts("client")) == ["default"]
    planted = put(kept)
    for program in (store, EncryptedStore(kept, [OLD, NEW])):  # also one that starts later
        for call in (program.load, program.reencrypt):
            with pytest.raises(StoreCorrupt, match="is not encrypted") as caught:
                call(KEY)
            assert "geheim" not in str(caught.value)
    assert kept.load(KEY).version == planted
    put(store)  # a new login takes its place
    assert store.load(KEY).payload == PLAIN


def test_required_encryption_is_of_one_application(kept):
    store = EncryptedStore(kept, [NEW])
    store.require_encryption("client")
    theirs = AccountKey("another client", "default")
    put(kept, key=theirs)
    assert store.load(theirs).payload == PLAIN
    put(kept)
    store.require_encryption("client", required=False)
    assert store.load(KEY).payload == PLAIN


def test_what_holds_no_token_may_stay_unencrypted(kept):
    store = EncryptedStore(kept, [NEW])
    store.require_encryption("client")
    own = AccountKey("client", "")
    store.save(own, pause_to(END), expires_at=None, replacing=None)
    assert store.load(own).payload == pause_to(END)
    for text in ("", TOMBSTONE + "x"):
        put(store, text)
        assert kept.load(KEY).payload == text
        assert store.load(KEY).payload == text
