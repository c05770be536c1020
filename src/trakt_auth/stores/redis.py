"""Tokens in Redis: many machines that have it already.

Layer 4, and the only file that uses the library redis. No token is looked into.
`open_store` imports this file; it imports `doubts`, `leases` and lower layers.

All keys of an application share a hash tag, so that they lie in one slot of a cluster and one
script can use them. A version is the server's time in microseconds, or one more than the last: it
grows even when a replica that lagged behind takes over.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreUnavailable, UsageError
from trakt_auth.records import LEASE, AccountKey, Stored
from trakt_auth.stores.doubts import Doubts
from trakt_auth.stores.leases import Lease

__all__ = ["RedisStore"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FORMAT = "1"
CONNECT_WAIT, ANSWER_WAIT = 5.0, 5.0  # seconds
# A pooled connection may have died while nobody used it; a second failure is the server's.
RETRIES = 1
SERVER = "Redis"

# KEYS: format, last version, record, names, ends. Numbers are doubles in these scripts, which
# hold microseconds until the year 2255; versions and ends pass through them as text.
SAVE = """
local format = redis.call('GET', KEYS[1])
if format and format ~= ARGV[1] then return 'newer' end
local there = redis.call('HMGET', KEYS[3], 'version', 'written')
if there[2] == ARGV[7] then return there[1] end
if ARGV[6] ~= '' and there[1] ~= ARGV[6] then return false end
local time = redis.call('TIME')
local version = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if version <= last then version = last + 1 end
version = string.format('%.0f', version)
redis.call('SET', KEYS[2], version)
if not format then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[3], 'payload', ARGV[3], 'end', ARGV[4],
  'version', version, 'written', ARGV[7])
if ARGV[2] ~= '' then
  redis.call('SADD', KEYS[4], ARGV[2])
  if ARGV[5] == '' then redis.call('ZREM', KEYS[5], ARGV[2])
  else redis.call('ZADD', KEYS[5], ARGV[5], ARGV[2]) end
end
return version
"""
# KEYS: record, names, ends.
DELETE = """
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
END = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
# The server's words can quote commands, so only these are passed on.
SAYS = {
    "NOAUTH": "wants a password",
    "WRONGPASS": "refuses the user name or the password",
    "NOPERM": "does not allow this to the user",
    "READONLY": "is a replica, which takes no writes",
    "OOM": "has no memory left",
    "LOADING": "is loading its data",
    "MASTERDOWN": "has lost its master",
    "MISCONF": "cannot write to its disk, so it takes no writes",
    "MOVED": "is a cluster, and another node has this application's keys",
    "CLUSTERDOWN": "is a cluster that is down",
    "NOREPLICAS": "has too few replicas to take writes",
    "BUSY": "is busy with a script",
    "max number of clients": "has no connection left",
}


class RedisStore:
    """Keeps records as hashes under `trakt-auth:{...}`; an account's lock is a key that expires."""

    def __init__(self, url: str) -> None:
        """Take a URL as redis-py knows it; nothing is sent yet.

        Raises: UsageError.
        """
        self._name, self._redis = _client(url)
        self._doubts = Doubts()
        self._save = self._redis.register_script(SAVE)
        self._delete = self._redis.register_script(DELETE)
        self._renew = self._redis.register_script(RENEW)
        self._end = self._redis.register_script(END)

    def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, None when nothing is.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        with self._failures(), self._redis.pipeline(transaction=False) as both:
            both.get(_key(key.client_id, "format"))
            both.hmget(_record(key), "payload", "version", "end")
            found, (payload, version, end) = both.execute()
        if found not in (None, FORMAT.encode()):
            raise _newer()
        return None if payload is None else _stored(key, payload, version, end)

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Keep a payload, return its version.

        When the answer is lost, StoreUnavailable is raised and nobody knows whether it was kept:
        the same call again finds out, and finds its own record if it was.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt.
        """
        account, end = _bytes(key.account), _micros(expires_at)
        keys = [
            _key(key.client_id, "format"),
            _key(key.client_id, "version"),
            _record(key),
            _key(key.client_id, "names"),
            _key(key.client_id, "ends"),
        ]
        with self._doubts.name(key, payload, end, replacing) as (written, _), self._failures():
            values = [FORMAT, account, _bytes(payload), end, end]
            was = "" if replacing is None else replacing
            version = self._save(keys, [*values, was, written])
        if version is None:
            raise StoreConflict(f"Account {key.account!r} was changed by somebody else")
        if version == b"newer":
            raise _newer()
        return int(version)

    def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        keys = [_record(key), _key(key.client_id, "names"), _key(key.client_id, "ends")]
        with self._failures():
            self._delete(keys, [_bytes(key.account)])

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lease:
        """Return a lock that has not been taken yet."""
        return Lease(self, key, lease)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        with self._failures():
            names = self._redis.smembers(_key(client_id, "names"))
        return sorted(_text(name) for name in names)

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token ends before a moment, the first to end first.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        with self._failures():
            names = self._redis.zrangebyscore(
                _key(client_id, "ends"), "-inf", f"({_micros(before)}", start=0, num=limit
            )
        return [_text(name) for name in names]

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Give the account to `owner` unless somebody else has it.

        Raises: StoreUnavailable.
        """
        with self._failures():
            if self._redis.set(_lock(key), owner, nx=True, px=_millis(seconds)):
                return True
            # Ours already, if the answer to the same command was lost a moment ago.
            return bool(self._renew([_lock(key)], [owner, _millis(seconds)]))

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Count `seconds` anew if the account is still the owner's.

        Raises: StoreUnavailable.
        """
        with self._failures():
            return bool(self._renew([_lock(key)], [owner, _millis(seconds)]))

    def end_lease(self, key: AccountKey, owner: str) -> None:
        """Free the account if it is still the owner's.

        Raises: StoreUnavailable.
        """
        with self._failures():
            self._end([_lock(key)], [owner])

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._redis.close()

    @contextmanager
    def _failures(self) -> Generator[None, None, None]:
        """Turn the library's errors into ours; their words may quote a secret."""
        try:
            yield
        except exceptions.RedisError as error:
            said = str(error)
            if "WRONGTYPE" in said:
                failure: StoreCorrupt | StoreUnavailable = StoreCorrupt(
                    f"{self._name} has something else under trakt-auth's keys"
                )
            else:
                failure = self._unavailable(error, said)
            raise failure from None

    def _unavailable(self, error: exceptions.RedisError, said: str) -> StoreUnavailable:
        for word, says in SAYS.items():
            if word in said:
                return StoreUnavailable(f"{self._name} {says}")
        if isinstance(error, exceptions.AuthenticationError):
            return StoreUnavailable(f"{self._name} refuses the user name or the password")
        if isinstance(error, exceptions.TimeoutError):
            return StoreUnavailable(f"{self._name} does not answer")
        if isinstance(error, exceptions.ConnectionError):
            return StoreUnavailable(
                f"{self._name} cannot be reached",
                hint="Check that the server runs and that the URL is right, then try again.",
            )
        return StoreUnavailable(f"{self._name} failed with {type(error).__name__}")


def _client(url: str) -> tuple[str, Any]:
    # Parsed here too: an error of the library's would quote the URL, password included.
    try:
        parts = urlsplit(url)
        asked = {word: values[-1] for word, values in parse_qs(parts.query).items()}
        name = f"The {SERVER} server at {parts.hostname or 'localhost'}:{parts.port or 6379}"
        if {"none", "optional", "false", "0"} & {
            asked.get("ssl_cert_reqs", "").lower(), asked.get("ssl_check_hostname", "").lower()
        }:  # fmt: skip
            raise UsageError(
                "The URL switches the verification of the server's certificate off",
                hint="Leave it on; name a certificate of your own with ssl_ca_certs=FILE.",
            )
        make: Any = Redis.from_url  # the library is typed in part
        client = make(
            url,
            decode_responses=False,
            retry=Retry(NoBackoff(), RETRIES),
            protocol=2,
            **{
                word: value
                for word, value in {
                    "socket_connect_timeout": CONNECT_WAIT,
                    "socket_timeout": ANSWER_WAIT,
                }.items()
                if word not in asked
            },
        )
    except (TypeError, ValueError):
        raise UsageError(
            "The redis:// URL is not one that redis-py understands",
            hint="Write redis://USER:PASSWORD@HOST:PORT/NUMBER;"
            " in the password, write %40 for @ and %2F for /.",
        ) from None
    return name, client


def _key(client_id: str, what: str) -> bytes:
    # The braces are the hash tag; the application's own name could hold some as well.
    tag = sha256(_bytes(client_id)).hexdigest()[:32]
    return f"trakt-auth:{{{tag}}}:{what}".encode()


def _record(key: AccountKey) -> bytes:
    return _key(key.client_id, "record:") + _bytes(key.account)


def _lock(key: AccountKey) -> bytes:
    return _key(key.client_id, "lock:") + _bytes(key.account)


def _stored(key: AccountKey, payload: bytes, version: bytes, end: bytes) -> Stored:
    try:
        return Stored(
            payload=_text(payload),
            version=int(version),
            expires_at=EPOCH + int(end) * MICROSECOND if end else None,
        )
    except (StoreCorrupt, TypeError, ValueError, OverflowError):
        # Not chained: the cause would carry the payload.
        raise StoreCorrupt(
            f"The record of account {key.account!r} in Redis is not readable"
        ) from None


def _newer() -> StoreUnavailable:
    return StoreUnavailable(
        "The records in Redis were written by a newer version of trakt-auth",
        hint="Upgrade trakt-auth, or name another store.",
    )


def _micros(moment: datetime | None) -> str:
    return "" if moment is None else str((moment - EPOCH) // MICROSECOND)


def _millis(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _text(blob: bytes) -> str:
    try:
        return blob.decode(errors="surrogatepass")
    except ValueError:
        raise StoreCorrupt("The name of an account in Redis is not readable") from None
