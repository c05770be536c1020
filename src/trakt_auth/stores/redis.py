"""Tokens in Redis: for programs on many machines that already use it.

The keys and scripts of records and leases are here. No token is interpreted and no connection is
opened here.

All keys of an application share a hash tag, so that they are in one slot of a cluster and one
script can use them. A version is the server's time in microseconds, or one more than the last
version: it grows even when a replica takes over that has not received the last writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from trakt_auth.errors import StoreCorrupt, StoreUnavailable
from trakt_auth.stores.engines.columns import from_micros, to_bytes, to_micros, to_text
from trakt_auth.stores.engines.idempotency import IdempotencyKeys
from trakt_auth.stores.engines.lease import Lease
from trakt_auth.stores.engines.redis_connection import Server
from trakt_auth.stores.record import LEASE, TOMBSTONE, AccountKey, Stored
from trakt_auth.stores.versions import conflict

__all__ = ["RedisStore"]

FORMAT = "1"

# KEYS: format, names, ends, record, last version. ARGV: format, account, payload, end, version to
# replace, idempotency key, TOMBSTONE. Numbers are doubles in Lua, which are exact for microseconds
# until the year 2255; versions and ends are passed as text. The record is written last: what a
# script did before it failed is not undone.
SAVE = """
local format = redis.call('GET', KEYS[1])
if format and format ~= ARGV[1] then return 'newer' end
local there = redis.call('HMGET', KEYS[4], 'version', 'written', 'payload', 'end')
local nothing = not (there[1] or there[3] or there[4]) and '0'
if there[2] == ARGV[6] then return there[1] end
if ARGV[5] ~= '' and (there[1] or nothing) ~= ARGV[5] then return false end
local time = redis.call('TIME')
local version = time[1] * 1000000 + time[2]
for _, text in ipairs({redis.call('GET', KEYS[5]) or '', there[1] or ''}) do
  local last = tonumber(text)
  if last and last < 2^53 and version <= last then version = last + 1 end
end
version = string.format('%.0f', version)
if string.sub(ARGV[3], 1, string.len(ARGV[7])) == ARGV[7] then
  redis.call('SREM', KEYS[2], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
elseif ARGV[2] ~= '' then
  redis.call('SADD', KEYS[2], ARGV[2])
  if ARGV[4] == '' then redis.call('ZREM', KEYS[3], ARGV[2])
  else redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2]) end
end
redis.call('SET', KEYS[5], version)
if not format then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[4], 'payload', ARGV[3], 'end', ARGV[4],
  'version', version, 'written', ARGV[6])
return version
"""
# KEYS: format, names, ends, record, deleted. ARGV: format, account, version to delete, idempotency
# key. That key is kept for a while: the library repeats a script whose answer was lost.
DELETE = """
local format = redis.call('GET', KEYS[1])
if format and format ~= ARGV[1] then return 'newer' end
if ARGV[3] ~= '' then
  local version = redis.call('HGET', KEYS[4], 'version')
  if not version and redis.call('EXISTS', KEYS[4]) == 0 then
    if ARGV[3] == '0' or redis.call('GET', KEYS[5]) == ARGV[4] then return 'done' end
  end
  if version ~= ARGV[3] then return 'conflict' end
  redis.call('SET', KEYS[5], ARGV[4], 'EX', 600)
end
redis.call('SREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[4])
return 'done'
"""
# KEYS: lock. ARGV: owner, milliseconds. An owner that repeats the call because the answer was lost
# gets the lease that it already has.
TAKE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
END = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class RedisStore:
    """Keeps records as hashes under `trakt-auth:{...}`; an account's lock is a key that expires."""

    def __init__(self, url: str) -> None:
        """Take a URL of redis-py; nothing is sent yet.

        Raises: UsageError.
        """
        self._server = Server(url)
        self._idempotency = IdempotencyKeys()

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        fields = self._read(key.client_id, "HMGET", _record(key), "payload", "version", "end")
        return None if fields == [None, None, None] else _stored(key, *fields)

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload, return its version.

        If the answer is lost, StoreUnavailable is raised and the outcome is unknown. The same call
        again finds out: it returns the version if the payload was saved.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt.
        """
        values = [
            FORMAT,
            to_bytes(key.account),
            to_bytes(payload),
            _micros(expires_at),
            "" if replacing is None else replacing,
        ]
        keys = [*_lists(key), _record(key), _key(key.client_id, "version")]
        with self._idempotency.key_for(key.client_id, *values) as (written, _):
            version = self._server.run(SAVE, keys, *values, written, to_bytes(TOMBSTONE))
        if version is None:
            raise conflict(key)
        _check_format(version != b"newer")
        return int(version)

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it.

        If the answer is lost, StoreUnavailable is raised and the outcome is unknown. The same call
        again deletes what is still there, and is harmless if this call deleted it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt.
        """
        keys = [*_lists(key), _record(key), _key(key.client_id, "deleted:") + to_bytes(key.account)]
        values = [FORMAT, to_bytes(key.account), "" if replacing is None else replacing]
        with self._idempotency.key_for("delete", key.client_id, *values) as (written, _):
            done = self._server.run(DELETE, keys, *values, written)
        _check_format(done != b"newer")
        if done == b"conflict":
            raise conflict(key)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lease:
        """Return a lock that has not been acquired yet."""
        return Lease(self, key, lease)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        names = self._read(client_id, "SMEMBERS", _key(client_id, "names"))
        return sorted(_text(name) for name in names)

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token expires before a moment, the earliest first.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        ends, last = _key(client_id, "ends"), f"({_micros(before)}"
        names = self._read(client_id, "ZRANGEBYSCORE", ends, "-inf", last, "LIMIT", 0, limit)
        return [_text(name) for name in names]

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Give the account to `owner`, unless another owner has it.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return bool(self._server.run(TAKE, [_lock(key)], owner, _millis(seconds)))

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Let the lease end in `seconds` from now, if it is still the owner's.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return bool(self._server.run(RENEW, [_lock(key)], owner, _millis(seconds)))

    def end_lease(self, key: AccountKey, owner: str) -> None:
        """End the lease if it is still the owner's.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        self._server.run(END, [_lock(key)], owner)

    def durability_problems(self) -> list[str]:
        """Return why this server may lose logins: one sentence for each reason, without its name.

        Raises: StoreUnavailable, also if the user may not ask the server.
        """
        memory, persistence = self._server.read(("INFO", "memory"), ("INFO", "persistence"))
        policy = _info(memory, "maxmemory_policy") or "noeviction"
        problems: list[str] = []
        if policy != "noeviction" and _info(memory, "maxmemory") != "0":
            what = "logins" if policy.startswith("allkeys") else "the locks of accounts"
            problems.append(
                f"It deletes {what} when its memory is full (maxmemory-policy {policy}):"
                " set noeviction."
            )
        if _info(persistence, "aof_enabled") == "0":
            problems.append(
                "It does not write each change to its disk (appendonly no), so a restart loses"
                " logins: set appendonly yes."
            )
        elif _info(persistence, "aof_last_write_status") == "err":
            problems.append("It could not write the last changes to its disk.")
        return problems

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._server.close()

    def _read(self, client_id: str, *command: object) -> Any:  # noqa: ANN401
        format_, answer = self._server.read(("GET", _key(client_id, "format")), command)
        _check_format(format_ in (None, FORMAT.encode()))
        return answer


@lru_cache
def _key(client_id: str, what: str) -> bytes:
    # The braces mark the hash tag. A digest, because a client id could contain braces itself.
    tag = sha256(to_bytes(client_id)).hexdigest()[:32]
    return f"trakt-auth:{{{tag}}}:{what}".encode()


def _lists(key: AccountKey) -> list[bytes]:
    return [_key(key.client_id, what) for what in ("format", "names", "ends")]


def _record(key: AccountKey) -> bytes:
    return _key(key.client_id, "record:") + to_bytes(key.account)


def _lock(key: AccountKey) -> bytes:
    return _key(key.client_id, "lock:") + to_bytes(key.account)


def _stored(key: AccountKey, payload: bytes, version: bytes, end: bytes) -> Stored:
    try:
        return Stored(
            payload=_text(payload),
            version=int(version),
            expires_at=from_micros(int(end)) if end else None,
        )
    except (AttributeError, StoreCorrupt, TypeError, ValueError, OverflowError):
        # Not chained: the cause would carry the payload.
        raise StoreCorrupt(
            f"The record of account {key.account!r} in Redis is not readable",
            hint="Restore a backup, or sign in again: a new login takes its place.",
        ) from None


def _info(answer: bytes | Mapping[str, object], name: str) -> str | None:
    if isinstance(answer, Mapping):  # the library has parsed it
        return None if name not in answer else str(answer[name])
    found = re.search(rf"^{name}:(.*?)\r?$", answer.decode(errors="replace"), re.MULTILINE)
    return found and found[1]


def _check_format(known: bool) -> None:  # noqa: FBT001
    if not known:
        raise StoreUnavailable(
            "The records in Redis were written by a newer version of trakt-auth",
            hint="Upgrade trakt-auth, or name another store.",
        )


def _micros(moment: datetime | None) -> str:
    return "" if moment is None else str(to_micros(moment))


def _millis(seconds: float) -> int:
    return max(math.ceil(seconds * 1000), 1)


def _text(blob: bytes) -> str:
    try:
        return to_text(blob)
    except ValueError:
        raise StoreCorrupt("The name of an account in Redis is not readable") from None
