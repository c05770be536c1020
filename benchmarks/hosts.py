"""Two hosts and a server on one machine: each host a network namespace with a wrong clock.

They reach the store and the emulator over links of their own, and one link is cut at the worst
moment. It takes Linux, root, and the command `ip` (iproute2).
`python benchmarks/hosts.py`; a store can be named: `hosts.py redis`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import postgres_server, redis_server, stress
from support.stress import STALE, Place
from trakt_auth.emulator import Emulator

CONSOLE = Console(width=None if sys.stdout.isatty() else 110)
STORES = ("postgresql", "redis")
SERVER, BRIDGE = "10.77.0.1", "trakt-br"
HOSTS = {"trakt-a": "10.77.0.2", "trakt-b": "10.77.0.3"}
HOUR = 3600.0  # seconds
LEASE = 1.0  # seconds
ROUNDS, CUTS = 100, 3


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def hosts() -> Iterator[None]:
    """Make both hosts, each on a cable to the bridge that the servers listen on."""
    with ExitStack() as stack:
        ip("link", "add", BRIDGE, "type", "bridge")
        stack.callback(ip, "link", "del", BRIDGE)
        ip("addr", "add", f"{SERVER}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for name, address in HOSTS.items():
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip("link", "add", cable(name), "type", "veth", "peer", "name", "eth0", "netns", name)
            stack.callback(ip, "link", "del", cable(name))
            ip("link", "set", cable(name), "master", BRIDGE, "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield


def cable(host: str) -> str:
    return f"{host}-wire"


@contextmanager
def places(kind: str, lease: float | None = None) -> Iterator[tuple[Emulator, list[Place]]]:
    """Open an empty store and an emulator; yield a place on each host."""
    emulator = Emulator(log_size=10)
    with ExitStack() as stack:
        url = stack.enter_context(emulator.serving(SERVER))
        if kind == "postgresql":
            server = stack.enter_context(postgres_server.running(SERVER))
            store = stack.enter_context(server.schema())
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            open_to_hosts = ("--protected-mode", "no")
            server = redis_server.running(folder, *open_to_hosts, address=SERVER)
            store = stack.enter_context(server).url
        here = Place(store=store, url=url, lease=lease)
        ahead, behind = HOSTS
        yield (
            emulator,
            [replace(here, network=ahead, skew=HOUR), replace(here, network=behind, skew=-HOUR)],
        )


def storms(kinds: tuple[str, ...]) -> None:
    """Two processes of 50 threads on each host, one clock an hour ahead, the other one behind."""
    table = Table("store", "answer held", "rounds", "calls", "refreshes", "failed", "came twice")
    for kind in kinds:
        for rounds, lease, hold in ((ROUNDS, None, 0.0), (3, LEASE, LEASE * 2)):
            with places(kind, lease) as (emulator, both):
                found = stress.storms(
                    emulator, both * 2, kind="threads", count=50, rounds=rounds, hold=hold
                )
            held = f"{hold:.0f} s, lease {lease:.0f} s" if lease else "no"
            counts = (rounds, found.calls, found.refreshes, sum(found.failed.values()))
            table.add_row(kind, held, *(f"{n:,}" for n in (*counts, found.arrivals - 1)))
    CONSOLE.print(table)


def cuts(kinds: tuple[str, ...]) -> None:
    """A host loses its network between the answer and the save, and gets it back later.

    Meanwhile the lease ends, and the other host asks too.
    """
    table = Table("store", "cuts", "served meanwhile", "sent meanwhile", "kept", "seconds to save")
    for kind in kinds:
        served = sent = kept = 0
        waited = 0.0
        with places(kind, LEASE) as (emulator, both):
            for number in range(CUTS):
                account = f"cut off {number}"
                stress.sign_in(emulator, replace(both[0], network=""), account, age=STALE)
                with stress.refreshing(both[0], account) as pipe, stress.crowds(both[1]) as ask:
                    assert pipe.recv() == "answered"
                    ip("link", "set", cable(both[0].network), "down")
                    before = stress.rotations(emulator), stress.replays(emulator)
                    pipe.send("go on")
                    new = pipe.recv()  # it has tried to save for as long as it does
                    for failed, token in ask(account, "threads", 50):
                        served += not failed and stress.accepted(emulator, token)
                    after = stress.rotations(emulator), stress.replays(emulator)
                    sent += sum(after) - sum(before)
                    back = time.perf_counter()
                    ip("link", "set", cable(both[0].network), "up")
                    assert pipe.recv() == "saved"
                    waited = max(waited, time.perf_counter() - back)
                with stress.crowds(both[1]) as ask:
                    kept += ask(account, "threads", 1) == [("", new)]
        of = CUTS * 50
        table.add_row(
            *(kind, str(CUTS), f"{served} of {of}", str(sent), str(kept), f"{waited:.0f}")
        )
    CONSOLE.print(table)


def main(arguments: list[str]) -> int:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        print("hosts.py makes network namespaces: it takes Linux, root, and iproute2's `ip`")
        return 1
    if (
        subprocess.run(["ip", "link", "show", BRIDGE], capture_output=True, check=False).returncode
        == 0
    ):
        print(
            f"{BRIDGE} is there already: another run is under way, or one was killed; then delete"
        )
        print(f"{BRIDGE} by `ip link del`, and {' and '.join(HOSTS)} by `ip netns del`")
        return 1
    kinds = tuple(arguments) or STORES
    with hosts():
        for part in (storms, cuts):
            CONSOLE.rule(f"{part.__name__}: {str(part.__doc__).splitlines()[0]}")
            part(kinds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
