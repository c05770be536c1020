"""Simulated keychains, in a dict or a file, which behave as the library keyring on each system.

On macOS it deletes an entry and then adds it; on Windows it copies what it overwrites, ignores
case and refuses long texts. Here this happens step by step, so that a test can crash between any
two steps.
"""

import fcntl
import json
import os
from contextlib import contextmanager
from pathlib import Path

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class Died(BaseException):
    """The process crashes here."""


class Keychain(KeyringBackend):
    """Like Secret Service: one step replaces an entry."""

    priority = 5
    viable = False  # the library does not choose it by itself
    name = "Test Keychain"

    def __init__(self):
        super().__init__()
        self.entries = {}
        self.steps = 0
        self.dies_at = None

    def step(self, change):
        if self.steps == self.dies_at:
            raise Died
        self.steps += 1
        change(self.entries)

    def get_password(self, service, username):
        return self.entries.get(f"{service}\0{username}")

    def set_password(self, service, username, password):
        self.step(lambda entries: entries.update({f"{service}\0{username}": password}))

    def delete_password(self, service, username):
        if self.get_password(service, username) is None:
            raise PasswordDeleteError("No such password")
        self.step(lambda entries: entries.pop(f"{service}\0{username}"))


class Mac(Keychain):
    """Deletes an entry before it adds the new one."""

    def set_password(self, service, username, password):
        if self.get_password(service, username) is not None:
            self.delete_password(service, username)
        super().set_password(service, username, password)


class Windows(Keychain):
    """Copies what it overwrites, ignores case, refuses long texts."""

    def get_password(self, service, username):
        for target in (service, f"{username}@{service}"):
            found = self.entries.get(target.lower())
            if found and found[0] == username:
                return found[1]
        return None

    def set_password(self, service, username, password):
        assert len(password.encode("utf-16-le")) <= 2560
        assert len(username) <= 513
        assert len(service) <= 1000
        there = self.entries.get(service.lower())
        if there:
            copy = f"{there[0]}@{service}".lower()
            self.step(lambda entries: entries.update({copy: there}))
        self.step(lambda entries: entries.update({service.lower(): (username, password)}))

    def delete_password(self, service, username):
        for target in (service, f"{username}@{service}"):
            if target.lower() in self.entries:
                self.step(lambda entries, target=target: entries.pop(target.lower()))


class Shared(Keychain):
    """In a file that other processes open as well; the variable TEST_KEYCHAIN names it."""

    def __init__(self):
        super().__init__()
        self.path = Path(os.environ["TEST_KEYCHAIN"])

    @contextmanager
    def all(self):
        with self.path.with_suffix(".guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            entries = json.loads(self.path.read_text()) if self.path.exists() else {}
            yield entries
            new = self.path.with_suffix(".new")  # a process may be killed before the next line
            new.write_text(json.dumps(entries))
            new.replace(self.path)

    def get_password(self, service, username):
        with self.all() as entries:
            return entries.get(f"{service}\0{username}")

    def step(self, change):
        with self.all() as entries:
            change(entries)


@contextmanager
def installed(backend):
    """Let the library keyring use this backend."""
    before = keyring.core._keyring_backend
    keyring.set_keyring(backend)
    try:
        yield backend
    finally:
        keyring.core._keyring_backend = before
