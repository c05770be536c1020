"""`login --device`: shows the code and the address, and waits for the person.

The client polls Trakt. `drawing` is imported only when stderr is a terminal.
"""

from __future__ import annotations

import sys

from trakt_auth.cli.terminal.output import clean, is_terminal, say
from trakt_auth.client.sync import Client
from trakt_auth.protocol.token import Token

__all__ = ["sign_in"]


def sign_in(client: Client, account: str) -> Token:
    """Show a code and wait until the person has approved it.

    Raises: what `start_device` and `wait_for_device` raise.
    """
    device = client.start_device()
    if not is_terminal(sys.stderr):
        say(f"Enter the code {clean(device.user_code)} at {clean(device.verification_uri)}")
        return client.wait_for_device(device, account=account)
    from trakt_auth.cli.terminal.drawing import show_device, waiting

    show_device(clean(device.user_code), clean(device.verification_uri))
    with waiting(device.expires_at):
        return client.wait_for_device(device, account=account)
