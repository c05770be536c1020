"""`trakt-auth rekey`: encrypts every record of an application by the first key; makes new keys.

What a encrypted record is, is known to `stores.encryption` alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, FAILED, clean, delivered, say
from trakt_auth.errors import StoreError, UsageError
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.wrappers.encrypted import EncryptedStore, generate_key

__all__ = ["generate", "rekey"]

ROUNDS = 3  # until one of them finds nothing to do
STEP = 500  # records between two words of progress
PATIENCE = 10  # failures; then it is the store and not the records


@dataclass(slots=True)
class _Count:
    """One round over all records."""

    all: int = 0
    changed: int = 0
    failed: int = 0


def generate() -> int:
    """Print a new key and nothing else."""
    return delivered(f"{generate_key()}\n")


def rekey(settings: Settings, *, decrypt: bool) -> int:
    """Encrypt every record that needs it, while others go on refreshing; return the status."""
    client_id = settings.application("trakt-auth").client_id
    store = settings.open_store()
    if not isinstance(store, EncryptedStore):
        raise UsageError(
            "There is no key: neither TRAKT_AUTH_KEY nor TRAKT_AUTH_KEY_FILE is set",
            hint="Make one: export TRAKT_AUTH_KEY=$(trakt-auth rekey --generate), and keep it.",
        )
    count = _round(store, client_id, settings.account, decrypt=decrypt, quiet=False)
    changed, rounds = count.changed, 1
    while count.changed and rounds < ROUNDS:  # somebody may have used the old key meanwhile
        count = _round(store, client_id, settings.account, decrypt=decrypt, quiet=True)
        changed, rounds = changed + count.changed, rounds + 1
    store.close()
    fallback = settings.open_fallback()
    if settings.account is None and isinstance(fallback, EncryptedStore):
        aside = _round(fallback, client_id, None, decrypt=decrypt, quiet=False)
        fallback.close()
        changed += aside.changed
        count.all += aside.changed + aside.failed
        count.failed += aside.failed
    return _told(count, changed, None if decrypt else store.key_id, settings.account)


def _round(
    store: EncryptedStore, client_id: str, account: str | None, *, decrypt: bool, quiet: bool
) -> _Count:
    names = store.accounts(client_id) if account is None else [account]
    count = _Count(all=len(names))
    for number, name in enumerate(names, 1):
        try:
            count.changed += store.reencrypt(AccountKey(client_id, name), plain=decrypt)
        except StoreError as error:
            count.failed += 1
            if count.failed == PATIENCE:
                raise
            if not quiet:
                say(f"trakt-auth: {clean(str(error))}")
        if number % STEP == 0 and not quiet:
            say(f"{number} of {count.all} ...")
    return count


def _told(last: _Count, changed: int, key: str | None, account: str | None) -> int:
    word = "unencrypted" if key is None else "reencrypted"
    say(f"{changed} of {last.all} records were {word}.")
    if last.changed:
        say(
            "Another program still encrypts with another key. Put the new key first wherever "
            "programs use this store, then run this again."
        )
    if last.failed:
        say(f"{last.failed} could not be opened and are as they were: keep their keys.")
    if last.changed or last.failed:
        return FAILED
    needs = "a key" if key is None else f"another key than {key}"
    if account is not None:
        say(f"Account {clean(account)!r} does not need {needs} any more.")
        say("The other accounts may: once more without --account.")
        return DONE
    then = ": unset TRAKT_AUTH_KEY." if key is None else "."
    say(f"No record of this application needs {needs} any more{then}")
    say("Other applications that use this store: once more with their TRAKT_CLIENT_ID.")
    return DONE
