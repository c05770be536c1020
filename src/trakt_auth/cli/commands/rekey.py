"""`trakt-auth rekey`: encrypts every record of an application with the first key; makes new keys.

How a record is encrypted is decided in `stores.wrappers.encrypted`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, FAILED, clean, say, write_result
from trakt_auth.errors import StoreError, UsageError
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.wrappers.encrypted import EncryptedStore, generate_key

__all__ = ["rekey"]

ROUNDS = 3  # at most, until one of them finds nothing to change
PROGRESS_STEP = 500  # records between two lines of progress
MOST_FAILURES = 10  # after that many, the store is broken rather than single records


@dataclass(slots=True)
class _Round:
    """What one round over all records did; `changed` holds the names of accounts."""

    total: int = 0
    changed: set[str] = field(default_factory=set[str])
    failed: int = 0


def rekey(settings: Settings, *, generate: bool, decrypt: bool) -> int:
    """Encrypt every record with the first key, or print a new key; return the exit status."""
    if generate and decrypt:
        raise UsageError("--generate excludes --decrypt", hint="Choose one of them.")
    if generate:
        return write_result(f"{generate_key()}\n")
    owner = settings.owner()
    store = settings.open_store()
    if not isinstance(store, EncryptedStore):
        raise UsageError(
            "There is no key: neither TRAKT_AUTH_KEY nor TRAKT_AUTH_KEY_FILE is set",
            hint="Make one: export TRAKT_AUTH_KEY=$(trakt-auth rekey --generate), and keep it.",
        )
    if decrypt:
        store.require_encryption(owner, required=False)
    last = _run_round(store, owner, settings.account, decrypt=decrypt, quiet=False)
    names, rounds = set(last.changed), 1
    while last.changed and rounds < ROUNDS:  # another program may have used its old key meanwhile
        last = _run_round(store, owner, settings.account, decrypt=decrypt, quiet=True)
        names, rounds = names | last.changed, rounds + 1
    if not decrypt and settings.account is None and not last.changed and not last.failed:
        store.require_encryption(owner)
    store.close()
    changed, fallback = len(names), settings.open_fallback()
    if settings.account is None and isinstance(fallback, EncryptedStore):
        unsaved = _run_round(fallback, owner, None, decrypt=decrypt, quiet=False)
        fallback.close()
        changed += len(unsaved.changed)
        last.total += len(unsaved.changed) + unsaved.failed
        last.failed += unsaved.failed
    return _report(last, changed, None if decrypt else store.key_id, settings.account)


def _run_round(
    store: EncryptedStore, owner: str, account: str | None, *, decrypt: bool, quiet: bool
) -> _Round:
    names = store.accounts(owner) if account is None else [account]
    result = _Round(total=len(names))
    for number, name in enumerate(names, 1):
        try:
            if store.reencrypt(AccountKey(owner, name), plain=decrypt):
                result.changed.add(name)
        except StoreError as error:
            result.failed += 1
            if result.failed == MOST_FAILURES:
                raise
            if not quiet:
                say(f"trakt-auth: {clean(str(error))}")
        if number % PROGRESS_STEP == 0 and not quiet:
            say(f"{number} of {result.total} ...")
    return result


def _report(last: _Round, changed: int, key: str | None, account: str | None) -> int:
    done = "decrypted" if key is None else "re-encrypted"
    say(f"{changed} of {last.total} records were {done}.")
    if last.changed:
        say(
            "Another program still encrypts with another key. Make the new key the first one in "
            "every program that uses this store, then run this again."
        )
    if last.failed:
        say(f"{last.failed} could not be decrypted and were not changed: keep their keys.")
    if last.changed or last.failed:
        return FAILED
    needed = "a key" if key is None else f"any key but {key}"
    if account is not None:
        say(f"Account {clean(account)!r} no longer needs {needed}.")
        say("Other accounts may need one: run this again without --account.")
        return DONE
    unset = "; unset TRAKT_AUTH_KEY." if key is None else "."
    say(f"The records of this application no longer need {needed}{unset}")
    say("If other applications use this store, run this again with their TRAKT_CLIENT_ID.")
    return DONE
