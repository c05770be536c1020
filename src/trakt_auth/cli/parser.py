"""Every command's name, arguments, options and help, read by click.

What a command does is in a file of its own, imported when the command runs. How the help looks is
in `help`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from trakt_auth.cli.help import TopLevel
from trakt_auth.cli.settings import Settings, version
from trakt_auth.errors import UsageError

__all__ = ["dispatch"]

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "show_default": True}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
FORMATS = ("trakt-auth", "pytrakt", "trakt.py", "response")
SECONDS: dict[str, Any] = {"type": int, "metavar": "SECONDS"}
STORE = click.option("--store", metavar="URL", help="Where tokens are kept, e.g. file:PATH.")
ACCOUNT = click.option("--account", metavar="NAME", help="Which login; `default` unless given.")


def dispatch(arguments: Sequence[str]) -> int:
    """Read the arguments and run the command; return the exit status.

    Raises: UsageError for wrong arguments, and what the command raises.
    """
    try:
        status = cli.main(list(arguments), prog_name="trakt-auth", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "trakt-auth"
        raise UsageError(error.format_message(), hint=f"Run `{command} --help`.") from None
    return status if isinstance(status, int) else 0


@click.group(cls=TopLevel, context_settings=CONTEXT)
@click.version_option(version(), prog_name="trakt-auth", message="%(prog)s %(version)s")
@STORE
@ACCOUNT
@click.pass_context
def cli(ctx: click.Context, /, account: str | None, store: str | None) -> None:
    """Sign in to Trakt, and stay signed in."""
    ctx.obj = Settings(account=account, store=store)


def _with_settings(command: Callable[..., int]) -> Callable[..., int]:
    """Add --account and --store to a command, before or after its name; pass them as Settings."""

    @STORE
    @ACCOUNT
    @click.pass_context
    @wraps(command)
    def with_settings(
        ctx: click.Context, /, account: str | None, store: str | None, **options: object
    ) -> int:
        given = {k: v for k, v in (("account", account), ("store", store)) if v is not None}
        return command(replace(ctx.obj, **given), **options)

    return with_settings


@cli.command()
@click.option("--device", is_flag=True, help="Show a code to enter on a phone or computer.")
@click.option("--browser", is_flag=True, help="Use this computer's browser; needs a redirect URI.")
@click.option("--no-open", is_flag=True, help="With --browser: show the address, open no browser.")
@_with_settings
def login(settings: Settings, *, device: bool, browser: bool, no_open: bool) -> int:
    """Sign in.

    By default the browser opens if this computer has one and TRAKT_REDIRECT_URI is a loopback
    address; otherwise a code is shown that you enter on another device.
    """
    import trakt_auth.cli.commands.login as job

    return job.login(settings, device=device, browser=browser, no_open=no_open)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_with_settings
def status(settings: Settings, *, as_json: bool) -> int:
    """Show who is signed in. Reads only the store, works offline.

    With --account, exit status 3 means that this account has to sign in.
    """
    import trakt_auth.cli.commands.status as job

    return job.status(settings, as_json=as_json)


@cli.command(short_help="Print a valid access token.")
@_with_settings
def token(settings: Settings) -> int:
    """Print a valid access token and nothing else; refresh it first if it is due."""
    import trakt_auth.cli.commands.token as job

    return job.token(settings)


@cli.command(short_help="Refresh the token now.")
@_with_settings
def refresh(settings: Settings) -> int:
    """Refresh the token now, due or not. The command `token` refreshes it when it is due."""
    import trakt_auth.cli.commands.token as job

    return job.refresh(settings)


@cli.command(short_help="Sign out.")
@_with_settings
def logout(settings: Settings) -> int:
    """Sign out: revoke the token at Trakt and delete it here."""
    import trakt_auth.cli.commands.token as job

    return job.logout(settings)


@cli.command(short_help="Change the key that encrypts tokens.")
@click.option("--generate", is_flag=True, help="Print a new key and do nothing else.")
@click.option("--decrypt", is_flag=True, help="Decrypt every record instead.")
@_with_settings
def rekey(settings: Settings, *, generate: bool, decrypt: bool) -> int:
    """Encrypt every record of the application with the first key in TRAKT_AUTH_KEY.

    The keys that follow it only decrypt. Records that are not encrypted yet are encrypted too.
    Other programs may refresh tokens meanwhile.
    """
    import trakt_auth.cli.commands.rekey as job

    return job.rekey(settings, generate=generate, decrypt=decrypt)


@cli.command(short_help="Call Trakt's API, signed in.")
@click.argument("method", type=click.Choice(METHODS, case_sensitive=False), metavar="METHOD")
@click.argument("path")
@click.option("--data", metavar="JSON|@FILE|-", help="The JSON to send; - reads stdin.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header; can be repeated."
)
@_with_settings
def api(settings: Settings, **call: Any) -> int:  # noqa: ANN401 - as its options say
    """Call Trakt's API, signed in, and write the body of the response to stdout.

    METHOD is GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS. PATH starts with a slash.
    """
    import trakt_auth.cli.commands.api as job

    return job.api(settings, **call)


@cli.command("import", short_help="Import logins from a file of another program.")
@click.argument("file", metavar="FILE|-")
@click.option("--replace", is_flag=True, help="Replace a login that exists already.")
@_with_settings
def import_(settings: Settings, *, file: str, replace: bool) -> int:
    """Import logins from a token file of PyTrakt or trakt.py, or from an export.

    FILE is not changed; - reads stdin. From then on no other program may refresh these tokens.
    """
    import trakt_auth.cli.commands.import_ as job

    return job.import_logins(settings, file=file, replace=replace)


@cli.command(short_help="Write logins to a file, for another computer or program.")
@click.argument("file", metavar="[FILE|-]", default="-")
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), default=FORMATS[0], metavar="NAME",
    show_default=False, help="trakt-auth (the default), pytrakt, trakt.py or response.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Overwrite FILE if it exists.")
@_with_settings
def export(settings: Settings, *, file: str, kind: str, replace: bool) -> int:
    """Write logins, secrets included, to stdout or to a file that only you can read.

    Exports every account, or the one of --account; the formats of other programs hold one.
    """
    import trakt_auth.cli.commands.export as job

    return job.export_logins(settings, file=file, kind=kind, replace=replace)


@cli.command(short_help="Find out what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--offline", is_flag=True, help="Use no network.")
@_with_settings
def doctor(settings: Settings, *, as_json: bool, offline: bool) -> int:
    """Check the configuration, the store, the logins, the network, and what Trakt answers.

    Changes nothing. Exit status: 0 without errors, even with warnings; 3 if every error is a
    login that has ended; 5 if every error is a server that is unavailable; otherwise 1.
    """
    import trakt_auth.cli.doctor.run as job

    return job.doctor(settings, as_json=as_json, offline=offline)


@cli.command(short_help="Run a local Trakt emulator, for tests.")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8088, help="0 picks a free port.")
@click.option("--access-token-lifetime", **SECONDS, help="604800 (7 days) by default.")
@click.option("--device-interval", **SECONDS, help="Between two polls of a code; 5 by default.")
@click.option(
    "--device-lifetime", **SECONDS, help="How long a code can be entered; 600 by default."
)
@click.option(
    "--auto-approve", type=float, metavar="SECONDS", help="Approve each code after this time."
)
@click.option(
    "--profile",
    type=click.Choice(["current", "legacy"]),
    help="Trakt as it is, or as it was before July 2026.",
)
@click.option("--require-user-agent", is_flag=True, help="Answer 403 to libraries' User-Agents.")
@click.option(
    "--rate-limits", is_flag=True, help="Count API calls, and answer 429 to too many of them."
)
@click.option(
    "--responses", metavar="FILE", help="A JSON list of what the API answers at further paths."
)
@click.option(
    "--state", metavar="FILE", help="Keep accounts, codes and tokens in this file over restarts."
)
@click.option("--client-id", metavar="ID", help="Register one more application.")
@click.option(
    "--client-secret", metavar="TEXT", help="Its client secret; without one it is a public client."
)
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    metavar="URI",
    help="Its redirect URI; can be repeated.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Only scripts of this origin may call it; can be repeated.",
)
@click.option("--quiet", is_flag=True, help="Print only the address, no log of requests.")
def emulator(**options: Any) -> int:  # noqa: ANN401 - as its options say
    """Run a local Trakt emulator, for tests; any user name signs in."""
    import trakt_auth.cli.commands.emulator as job

    return job.emulator(**options)


@cli.command(short_help="Show all of it, against the emulator.")
def demo() -> int:
    """Show both ways to sign in, refreshes under load and a sign-out, against the emulator."""
    from trakt_auth.cli.demo import demo as job

    return job()
