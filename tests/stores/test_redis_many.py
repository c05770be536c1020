"""Redis Cluster and Sentinel: any node leads to the records, and a failover is survived."""

from __future__ import annotations

import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from support.redis_server import PATIENCE, Server, program, running
from trakt_auth.errors import StoreConflict, StoreUnavailable, UsageError
from trakt_auth.stores import open_store
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey

KEY = AccountKey("client", "default")


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def replication(server: Server) -> dict[str, object]:
    found = server.command("INFO", "replication")
    assert isinstance(found, dict)
    return found


def use(store: TokenStore) -> None:
    version = store.save(KEY, "one", expires_at=None, replacing=0)
    with pytest.raises(StoreConflict):
        store.save(KEY, "two", expires_at=None, replacing=0)
    lock = store.lock(KEY)
    assert lock.acquire()
    assert not store.lock(KEY).acquire()
    lock.release()
    assert list(store.accounts("client")) == ["default"]
    store.close()
    stored = store.load(KEY)
    assert stored is not None
    assert (stored.payload, stored.version) == ("one", version)
    store.delete(KEY, replacing=version)
    assert store.load(KEY) is None
    store.close()


def test_a_cluster_is_found_by_any_node(tmp_path: Path) -> None:
    with running(tmp_path, "--cluster-enabled", "yes") as server:
        server.command("CLUSTER", "ADDSLOTS", *range(16384))
        until(lambda: b"cluster_state:ok" in bytes(server.command("CLUSTER", "INFO")))
        use(open_store(f"redis+cluster://127.0.0.1:1,127.0.0.1:{server.port}"))
        server.kill()
        store = open_store(f"redis+cluster://127.0.0.1:{server.port}")
        with pytest.raises(StoreUnavailable, match="The Redis Cluster at 127"):
            store.load(KEY)
        store.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Server, Server, str]]:
    """Yield a master, its replica, and the URL that names their sentinel."""
    folders = [tmp_path / name for name in ("master", "replica", "sentinel")]
    for folder in folders:
        folder.mkdir()
    with (
        running(folders[0]) as master,
        running(folders[1], "--replicaof", "127.0.0.1", str(master.port)) as replica,
        running(folders[2]) as sentinel,  # for its port
    ):
        sentinel.kill()
        config = folders[2] / "sentinel.conf"
        config.write_text(
            f"port {sentinel.port}\nbind 127.0.0.1\n"
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds mymaster 300\n"
            "sentinel failover-timeout mymaster 2000\n"
        )
        command = [program(), str(config), "--sentinel"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                until(lambda: replication(replica).get("master_link_status") == "up")
                yield master, replica, f"redis+sentinel://127.0.0.1:{sentinel.port}"
            finally:
                process.kill()


def test_sentinel_names_the_server_also_after_a_failover(
    watched: tuple[Server, Server, str],
) -> None:
    master, replica, url = watched
    store = open_store(f"{url}/mymaster/1")
    until(lambda: works(store))
    use(store)
    version = store.save(KEY, "kept", expires_at=None, replacing=None)
    assert master.command("WAIT", 1, 1000) == 1
    until(lambda: replicas_known(url) == 1)
    master.kill()
    until(lambda: works(store))
    stored = store.load(KEY)
    assert stored is not None
    assert (stored.payload, stored.version) == ("kept", version)
    assert store.save(KEY, "new", expires_at=None, replacing=version) > version
    assert replication(replica)["role"] == "master"
    store.close()
    other = open_store(f"{url}/another")
    with pytest.raises(StoreUnavailable, match="not known to any Sentinel"):
        other.load(KEY)
    other.close()


def replicas_known(url: str) -> int:
    with redis.Redis.from_url(url.replace("+sentinel", "")) as client:
        return len(client.execute_command("SENTINEL", "REPLICAS", "mymaster"))


def works(store: TokenStore) -> bool:
    try:
        store.delete(AccountKey("client", "probe"))
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://me:geheim@host",
        "redis+sentinel://me:geheim@host/service/one/two",
        "redis+cluster://me:geheim@host/0",
        "redis+cluster://me:ge/heim@host",
        "redis+cluster://me:geheim@host:port",
        "redis+cluster://me:geheim@host?nonsense=1",
        "rediss+cluster://me:geheim@host?ssl_cert_reqs=none",
    ],
)
def test_an_invalid_url(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)
    assert "heim" not in shown
