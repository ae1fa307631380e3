"""How fast files get to a board: against OpenSSH's scp as a user calls it, and paramiko's own `put`.

Run by `make bench`; prints a table and asserts nothing about time. The account's shell reads no start-up files, which
would cost every way the same and hide the difference.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import paramiko
import pytest
from testbed.fixtures import MakeProxy
from testbed.sshd import Sshd

from edgeprof.progress import Silent
from edgeprof.records import Device
from edgeprof.store import Store
from edgeprof.target.ssh.connection import SshConnection

pytestmark = pytest.mark.bench

RUNS = 7
LARGE = 100_000_000
MANY, FEW, SMALL = 1000, 100, 10_000
"""A thousand files; a hundred where `put` takes some tenth of a second for each."""
ONE_WAY_MS = 10.0


class Way:
    """Ways to bring the same files to a server at a port, each with a login of its own unless said."""

    def __init__(self, server: Sshd, port: int, folder: Path) -> None:
        self.server = server
        self.port = port
        self.store = Store(folder / "store")
        hosts = folder / "known_hosts"
        hosts.write_text(server.known_hosts_line_at(port))
        self.device = Device(
            name="board",
            transport="ssh",
            host="127.0.0.1",
            port=port,
            user=server.user,
            key_file=str(server.key_file),
            known_hosts=str(hosts),
            workdir=str(folder / "device"),
            lease=str(folder),
            provision="never",
        )
        self.folder = folder

    def scp(self, files: dict[str, Path]) -> float:
        """`scp FILE... HOST:FOLDER`, its own login included."""
        target = self.folder / "scp"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        command = ["scp", "-q", "-F", str(self.server.ssh_config), "-o", "HostName=127.0.0.1", "-P", str(self.port)]
        command += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        began = time.perf_counter()
        subprocess.run([*command, *map(str, files.values()), f"{self.server.name}:{target}"], check=True)
        return time.perf_counter() - began

    def put(self, files: dict[str, Path]) -> float:
        """paramiko's SFTP `put` as it comes, over a connection that stands."""
        target = self.folder / "put"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        with paramiko.SSHClient() as client:
            client.load_host_keys(str(self.device.known_hosts))
            key = str(self.server.key_file)
            client.connect("127.0.0.1", self.port, self.server.user, key_filename=key, allow_agent=False)
            sftp = client.open_sftp()
            began = time.perf_counter()
            for sha, path in files.items():
                sftp.put(str(path), f"{target}/{sha}")
            return time.perf_counter() - began

    def push(self, files: dict[str, Path], login: bool = True) -> float:
        """edgeprof's, checked on the device by sha256; with `login` from no connection to the last file in place."""
        shutil.rmtree(self.folder / "device" / "blobs", ignore_errors=True)
        with SshConnection(self.device, self.store, Silent()) as first:
            first.start_agent()  # the agent itself is there
        with SshConnection(self.device, self.store, Silent()) as connection:
            if not login:
                connection.start_agent()
            began = time.perf_counter()
            connection.push(files)
            return time.perf_counter() - began


def made(store: Store, count: int, size: int) -> dict[str, Path]:
    shas = [store.add_bytes(os.urandom(size)) for _ in range(count)]
    return {sha: store.blob(sha) for sha in shas}


def interleaved(ways: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            found[name].append(way())
    return found


def row(link: str, what: str, name: str, seconds: list[float], base: list[float]) -> str:
    median = statistics.median(seconds)
    times = statistics.median(base) / median
    return f"| {link} | {what} | {name} | {median:.3f} | {min(seconds):.3f} | {max(seconds):.3f} | {times:.2f} |"


def test_push(sshd: Sshd, proxy: MakeProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # bash reads ~/.bashrc and /etc/bash.bashrc when sshd starts it; not so at a deeper level.
    sshd.environment = {"SHLVL": "3"}
    sshd.restart()
    lines = [
        "| link | files | way | median s | least | most | times as fast as the first |",
        "|---|---|---|---|---|---|---|",
    ]
    for link, port in (("loopback", sshd.port), ("20 ms round trip", proxy(sshd.port, delay_ms=ONE_WAY_MS).port)):
        folder = tmp_path / link.replace(" ", "-")
        folder.mkdir()
        way = Way(sshd, port, folder)
        large = made(way.store, 1, LARGE)
        found = interleaved(
            {
                "scp, its own login": partial(way.scp, large),
                "edgeprof, its own login": partial(way.push, large),
                "edgeprof, connected": partial(way.push, large, login=False),
            }
        )
        lines += [row(link, "1 of 100 MB", name, one, found["scp, its own login"]) for name, one in found.items()]
        count = MANY if port == sshd.port else FEW
        many = made(way.store, count, SMALL)
        found = interleaved(
            {
                "paramiko put, connected": partial(way.put, many),
                "edgeprof, connected": partial(way.push, many, login=False),
            }
        )
        base = found["paramiko put, connected"]
        lines += [row(link, f"{count} of 10 kB", name, one, base) for name, one in found.items()]
        way.store.close()
    with capsys.disabled():
        print("\n" + "\n".join(lines))
