"""Runs the command line, in this process or in another, against an emulator and a private store.

Nothing here sleeps: a device code is approved when the program polls for its token.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.both_clients import key_of
from trakt_auth import Application, Client, Endpoints, Token
from trakt_auth.cli import main
from trakt_auth.emulator import Emulator

SOURCE = str(Path(__file__).parents[2] / "src")
OOB = "urn:ietf:wg:oauth:2.0:oob"


@dataclass
class Ran:
    status: int
    out: str
    err: str


class ApprovingEmulator(Emulator):
    """Approves or denies each device code as soon as it is polled, and notes every secret."""

    def __init__(self, **settings):
        super().__init__(device_interval=0, **settings)
        self.decision = "approve"
        self.secrets = []

    def process(self, request, *, peer="127.0.0.1"):
        if "/oauth/device/token" in request.url and self.decision:
            for one in self.state()["device_codes"]:
                if one["status"] == "pending":
                    getattr(self, f"{self.decision}_device")(one["user_code"])
        reply = super().process(request, peer=peer)
        if reply.response is not None and b"access_token" in reply.response.body:
            import json

            content = json.loads(reply.response.body)
            self.secrets += [content["access_token"], content["refresh_token"]]
        return reply


@dataclass
class CliRunner:
    """Runs commands: `cli("status")` here, `cli.run("status")` in a process of its own."""

    emulator: ApprovingEmulator
    url: str
    file: Path
    capsys: object
    monkeypatch: object
    ran: list = field(default_factory=list)

    @property
    def store(self):
        return f"file:{self.file}"

    def __call__(self, *arguments):
        self.capsys.readouterr()
        status = main(arguments)
        captured = self.capsys.readouterr()
        self.ran.append(Ran(status, captured.out, captured.err))
        return self.ran[-1]

    def spawn(self, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "trakt_auth.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
            **options,
        )

    def run(self, *arguments, **options):
        with self.spawn(*arguments, **options) as process:
            out, err = process.communicate(timeout=60)
        self.ran.append(Ran(process.returncode, out, err))
        return self.ran[-1]

    def key(self, account="default"):
        return key_of(self.url, account)

    def client(self):
        return Client(
            Application("emulator", user_agent="tests/1"),
            store=self.store,
            endpoints=Endpoints.at(self.url),
        )

    def sign_in(self, account="default", *, ago=0.0, refresh=True):
        """Store a token that the emulator issued; `ago` is its age, as a share of its lifetime."""
        content = self.emulator.issue_tokens()
        self.emulator.secrets += [content["access_token"], content["refresh_token"]]
        life = timedelta(days=7)
        created = datetime.now(UTC) - life * ago
        token = Token(
            access_token=content["access_token"],
            refresh_token=content["refresh_token"] if refresh else None,
            created_at=created,
            expires_at=max(created + life, datetime.now(UTC) + timedelta(seconds=60))
            if ago < 1
            else created + life,
        )
        with self.client() as client:
            # `adopt` would refresh an expired token.
            from trakt_auth.stores.record import Record

            client._store.save(
                client._context.key(account),
                Record(token=token).to_payload(),
                expires_at=token.expires_at,
                replacing=None,
            )
        return token
