"""What a session leaves on a board that no host has followed to its end: kept until it is read, then removed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import process_tools as processes
import pytest
import ready_models
from testbed.sshd import Sshd

from edgeprof.progress import Silent
from edgeprof.records import Device, Method
from edgeprof.store import Store
from edgeprof.target.protocol import CellPlan, Done, Measure, Measured, Started, Step
from edgeprof.target.ssh.connection import SshConnection
from edgeprof.target.ssh.session import SessionChannel

pytestmark = pytest.mark.slow
QUICK = Method(warmup_s=0.0, warmup_min=1, block_s=0.0, block_min=8, block_max=8, timeout_s=60.0)
WAIT_S = 90.0
NAME = "run-x"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / ".edgeprof")
    yield made
    made.close()


@pytest.fixture
def device(sshd: Sshd, tmp_path: Path) -> Device:
    return Device(
        name="board",
        transport="ssh",
        host=sshd.host,
        port=sshd.port,
        user=sshd.user,
        key_file=str(sshd.key_file),
        known_hosts=str(sshd.known_hosts),
        python=sys.executable,
        provision="never",
        workdir=str(tmp_path / "workdir"),
        lease=str(tmp_path),
    )


def opened(connection: SshConnection) -> SessionChannel:
    connection.hold("edgeprof run x", NAME)
    return connection.open_session(NAME)


@pytest.fixture
def left(sshd: Sshd, device: Device, store: Store, tmp_path: Path) -> Path:
    """The folder of a session that measured a round, lost its host for good, and has ended."""
    data = ready_models.onnx_file(tmp_path / "model.onnx").read_bytes()
    sha = store.add_bytes(data)
    place = tmp_path / "workdir" / "sessions" / NAME
    connection = SshConnection(device, store, Silent(), keep_s=1.0)
    try:
        channel = opened(connection)
        cell = CellPlan(
            format="onnx",
            precision="fp32",
            threads=1,
            cores=None,
            provider=None,
            files={"model.onnx": connection.push({sha: store.blob(sha)})[sha]},
            samples=None,
            wrong_above=None,
        )
        step = Step(job="a", round=0, attempt=0, position=0, look=False)
        channel.send(Measure(method=QUICK, cells={"a": cell}, rounds=(step,)))
        spool = place / "spool-000001.jsonl"
        processes.await_value(lambda: (spool.exists() and b'"done"' in spool.read_bytes()) or None)
        sshd.kill()
    finally:
        connection.close()
    pid = json.loads((place / "session.json").read_bytes())["pid"]
    processes.await_end(pid)
    assert place.exists()
    sshd.start()
    return place


def test_what_was_read_to_its_end_is_removed(left: Path, device: Device, store: Store) -> None:
    with SshConnection(device, store, Silent()) as connection:
        channel = opened(connection)
        assert channel.unfinished
        assert [type(channel.receive(WAIT_S)) for _ in range(3)] == [Started, Measured, Done]
        assert left.exists(), "not before the host says so"
    assert not left.exists()


@pytest.mark.parametrize("read", range(3))
def test_what_was_not_read_stays(left: Path, device: Device, store: Store, read: int) -> None:
    """A host that stops after some of it, with a link that works: the next one has all of it, from its beginning."""
    with SshConnection(device, store, Silent()) as connection:
        channel = opened(connection)
        for _ in range(read):
            channel.receive(WAIT_S)
    assert left.exists()
    with SshConnection(device, store, Silent()) as connection:
        channel = opened(connection)
        assert [type(channel.receive(WAIT_S)) for _ in range(3)] == [Started, Measured, Done]
    assert not left.exists()
