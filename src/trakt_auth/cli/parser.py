r"""Every command's name, options and help; the only file of `cli` that imports click.

What a command does is in a file of its own, imported when the command runs.
(In a help text, \b keeps the line breaks that follow.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from trakt_auth.cli.help import EPILOG, HELP, STATUS_HELP
from trakt_auth.cli.settings import Settings, version
from trakt_auth.errors import UsageError

__all__ = ["dispatch"]

PORT = click.IntRange(0, 65535)
KINDS = ("trakt-auth", "pytrakt", "trakt.py", "response")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
STORE = click.option("--store", metavar="URL", help="Where tokens are kept, e.g. file:PATH.")
ACCOUNT = click.option("--account", metavar="NAME", help="Which login; `default` is the usual one.")


def dispatch(arguments: Sequence[str]) -> int:
    """Read the arguments and run the command; return the exit status.

    Raises: UsageError for wrong arguments, and whatever the command raises.
    """
    try:
        status = cli.main(list(arguments), prog_name="trakt-auth", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "trakt-auth"
        raise UsageError(
            error.format_message(), hint=f"Run `{command} --help` for what it takes."
        ) from None
    return status if isinstance(status, int) else 0


@click.group(help=HELP, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="trakt-auth", message="%(prog)s %(version)s")
@STORE
@ACCOUNT
@click.pass_context
def cli(ctx: click.Context, /, account: str | None, store: str | None) -> None:
    """Keep the options that stand before the command's name."""
    ctx.obj = Settings(account=account, store=store)


def _for_a_login(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the common options; it receives them, from either side of it, as Settings."""

    @STORE
    @ACCOUNT
    @click.pass_context
    @wraps(command)
    def with_settings(
        ctx: click.Context, /, account: str | None, store: str | None, **options: object
    ) -> int:
        before: Settings = ctx.obj
        settings = Settings(
            account=before.account if account is None else account,
            store=before.store if store is None else store,
        )
        return command(settings, **options)

    return with_settings


@cli.command()
@click.option("--device", is_flag=True, help="Show a code to enter on a phone or computer.")
@click.option("--browser", is_flag=True, help="Use this computer's browser; needs a redirect URI.")
@click.option("--no-open", is_flag=True, help="With --browser: show the address, open nothing.")
@_for_a_login
def login(settings: Settings, *, device: bool, browser: bool, no_open: bool) -> int:
    r"""Sign in.

    Without a choice: the browser where there is one and TRAKT_REDIRECT_URI is a loopback
    address, else a code to enter elsewhere.

    \b
    Example: trakt-auth login --device
    """
    import trakt_auth.cli.commands.login as job

    if device and (browser or no_open):
        raise UsageError("--device excludes --browser and --no-open", hint="Choose one of them.")
    way = "device" if device else "browser" if browser or no_open else None
    return job.login(settings, way=way, opens=not no_open)


@cli.command(help=STATUS_HELP, short_help="Show who is signed in.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@_for_a_login
def status(settings: Settings, *, as_json: bool) -> int:
    """Show who is signed in."""
    import trakt_auth.cli.commands.status as job

    return job.status(settings, as_json=as_json)


@cli.command(short_help="Print a valid access token.")
@_for_a_login
def token(settings: Settings) -> int:
    r"""Print a valid access token and nothing else; refresh it first if it is due.

    \b
    Example: curl -H "Authorization: Bearer $(trakt-auth token)" ...
    """
    import trakt_auth.cli.commands.token as job

    return job.token(settings)


@cli.command(short_help="Refresh the token now.")
@_for_a_login
def refresh(settings: Settings) -> int:
    r"""Refresh the token now, due or not; `token` does it when it is time.

    \b
    Example: trakt-auth refresh
    """
    import trakt_auth.cli.commands.token as job

    return job.refresh(settings)


@cli.command(short_help="Sign out.")
@_for_a_login
def logout(settings: Settings) -> int:
    r"""Sign out: revoke the token at Trakt and forget it here.

    \b
    Example: trakt-auth logout --account work
    """
    import trakt_auth.cli.commands.token as job

    return job.logout(settings)


@cli.command(short_help="Change the key that encrypts tokens.")
@click.option("--generate", is_flag=True, help="Print a new key and nothing else.")
@click.option("--decrypt", is_flag=True, help="Encrypt nothing any more.")
@_for_a_login
def rekey(settings: Settings, *, generate: bool, decrypt: bool) -> int:
    r"""Encrypt every record of the application by the first key in TRAKT_AUTH_KEY.

    The keys that follow it only decrypt. What is not encrypted yet is encrypted as well. Other
    programs may go on refreshing meanwhile.

    \b
    Example: export TRAKT_AUTH_KEY=$(trakt-auth rekey --generate)
             trakt-auth rekey
    """
    import trakt_auth.cli.commands.rekey as job

    if generate and decrypt:
        raise UsageError("--generate excludes --decrypt", hint="Choose one of them.")
    return job.generate() if generate else job.rekey(settings, decrypt=decrypt)


@cli.command(short_help="Call Trakt's API, signed in.")
@click.argument("method", type=click.Choice(METHODS, case_sensitive=False))
@click.argument("path")
@click.option("--data", metavar="JSON|@FILE|-", help="The body; - reads it from stdin.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="One more header.")
@_for_a_login
def api(settings: Settings, **call: Any) -> int:  # noqa: ANN401 - as its options say
    r"""Call Trakt's API, signed in. The answer's body goes to stdout.

    \b
    Example: trakt-auth api GET /users/settings
             trakt-auth api POST /sync/watchlist --data @movies.json
    """
    import trakt_auth.cli.commands.api as job

    return job.api(settings, **call)


@cli.command("import", short_help="Take over a login from a file of another program.")
@click.argument("file", metavar="FILE|-")
@click.option("--replace", is_flag=True, help="Overwrite a login that is here already.")
@_for_a_login
def import_(settings: Settings, *, file: str, replace: bool) -> int:
    r"""Take over logins from PyTrakt's or trakt.py's token file, or from `trakt-auth export`.

    FILE is left as it is; - reads stdin. From then on no other program may refresh the token.

    \b
    Example: trakt-auth import ~/.pytrakt.json
    """
    import trakt_auth.cli.commands.import_ as job

    return job.move_in(settings, file=file, replace=replace)


@cli.command(short_help="Write logins to a file, for another computer or program.")
@click.argument("file", metavar="[FILE|-]", default="-")
@click.option("--format", "kind", type=click.Choice(KINDS), default=KINDS[0], show_default=True)
@click.option("--replace", is_flag=True, help="Overwrite FILE.")
@_for_a_login
def export(settings: Settings, *, file: str, kind: str, replace: bool) -> int:
    r"""Write logins, secrets included, to stdout or to a file that is yours alone.

    All of them, or the one that --account names; the formats of other programs hold one.

    \b
    Example: trakt-auth export moving.json
    """
    import trakt_auth.cli.commands.export as job

    return job.move_out(settings, file=file, kind=kind, replace=replace)


@cli.command(short_help="Find out what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--offline", is_flag=True, help="Ask neither Trakt nor the network.")
@_for_a_login
def doctor(settings: Settings, *, as_json: bool, offline: bool) -> int:
    r"""Check the settings, the store, the logins, the network, and what Trakt says to them.

    Changes nothing. Exit status 0 also with warnings; 3 and 5 where all that is wrong is that
    somebody has to sign in, or that Trakt cannot be reached; else 1.

    \b
    Example: trakt-auth doctor --offline
    """
    import trakt_auth.cli.doctor.run as job

    return job.doctor(settings, as_json=as_json, offline=offline)


@cli.command(short_help="Run a Trakt on this computer, for tests.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=PORT, default=8088, show_default=True, help="0 picks a free one.")
@click.option("--access-token-lifetime", type=int, metavar="SECONDS", help="604800 unless given.")
@click.option("--device-interval", type=int, metavar="SECONDS", help="5 unless given.")
@click.option("--device-lifetime", type=int, metavar="SECONDS", help="600 unless given.")
@click.option("--auto-approve", type=float, metavar="SECONDS", help="Approve device codes so late.")
@click.option("--profile", type=click.Choice(["current", "legacy"]), help="Trakt today or before.")
@click.option("--require-user-agent", is_flag=True, help="403 for a default User-Agent, as Trakt.")
@click.option("--client-id", metavar="ID", help="Register one more application.")
@click.option("--client-secret", metavar="TEXT", help="Its secret; none makes it a public client.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, metavar="URI", help="Repeatable.")
@click.option("--quiet", is_flag=True, help="Only the line that tells the address.")
def emulator(**options: Any) -> int:  # noqa: ANN401 - as its options say
    r"""Run a Trakt on this computer, for tests: it signs anybody in.

    \b
    Example: trakt-auth emulator --port 0 --auto-approve 3
    """
    import trakt_auth.cli.commands.emulator as job

    return job.emulator(**options)


@cli.command(short_help="Watch all of it work, against the emulator.")
def demo() -> int:
    r"""Watch both ways to sign in, a refresh under load and a sign-out, against the emulator.

    \b
    Example: trakt-auth demo
    """
    from trakt_auth.cli.demo import demo as job

    return job()
