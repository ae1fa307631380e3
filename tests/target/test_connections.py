"""What every way to reach a device offers, and does alike: this machine, and a board behind a real sshd."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import process_tools as processes
import pytest
import ready_models
from testbed.sshd import Sshd

from edgeprof import target
from edgeprof.errors import LinkError, RecordError
from edgeprof.progress import Silent
from edgeprof.records import Device, Method
from edgeprof.store import Store
from edgeprof.target import AgentChannel, Connection
from edgeprof.target.local import LocalConnection
from edgeprof.target.protocol import AskFacts, CellPlan, Done, Facts, Hello, HelloBack, Measure, Measured, Started, Step
from edgeprof.target.ssh.connection import SshConnection

QUICK = Method(warmup_s=0.0, warmup_min=1, block_s=0.0, block_min=8, block_max=8, timeout_s=60.0)
WAIT_S = 90.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "a store – 試" / ".edgeprof")
    yield made
    made.close()


@pytest.fixture(params=["local", "ssh"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Device:
    """This machine twice. As a board it has a workdir and a lease of its own, with a space and letters beyond ASCII."""
    if request.param == "local":
        return Device(name="here", transport="local")
    server: Sshd = request.getfixturevalue("loopback")
    return Device(
        name="there",
        transport="ssh",
        host=server.host,
        port=server.port,
        user=server.user,
        key_file=str(server.key_file),
        known_hosts=str(server.known_hosts),
        python=sys.executable,
        provision="never",
        workdir=str(tmp_path / "a workdir – 試"),
        lease=str(tmp_path),
    )


@pytest.fixture
def connection(device: Device, store: Store) -> Iterator[Connection]:
    with target.connect(device, store, Silent()) as made:
        yield made


def file(store: Store, tmp_path: Path) -> tuple[str, Path]:
    """A real one: its sha256 and where it lies."""
    data = ready_models.onnx_file(tmp_path / "model.onnx").read_bytes()
    sha = store.add_bytes(data)
    return sha, store.blob(sha)


def plan(path: str, rounds: int = 2) -> Measure:
    """A call that measures a file there."""
    cell = CellPlan(
        format="onnx",
        precision="fp32",
        threads=1,
        cores=None,
        provider=None,
        files={"model.onnx": path},
        samples=None,
        wrong_above=None,
    )
    steps = [Step(job="a", round=number, attempt=0, position=number, look=False) for number in range(rounds)]
    return Measure(method=QUICK, cells={"a": cell}, rounds=tuple(steps))


def test_it_is_of_the_kind_that_the_device_asks_for(connection: Connection, device: Device) -> None:
    assert isinstance(connection, LocalConnection if device.transport == "local" else SshConnection)


def test_a_device_is_held_again_for_what_is_measured_there(connection: Connection) -> None:
    """First without a name, then for the run that came of it."""
    connection.hold("edgeprof profile", "")
    connection.hold("edgeprof run x", "run-x")
    connection.hold("edgeprof run x", "run-x", wait_s=1.0)


def test_a_device_that_is_used_as_it_is_gets_no_runtimes(connection: Connection) -> None:
    assert connection.provide(["onnx", "tflite"]) == {}
    assert connection.provide(["onnx"], bring=False) == {}
    assert connection.sites == {}


def test_pushed_files_lie_there_whole(connection: Connection, store: Store, tmp_path: Path) -> None:
    sha, path = file(store, tmp_path)
    empty = store.add_bytes(b"")
    for _ in range(2):
        places = connection.push({sha: path, empty: store.blob(empty)})
        assert {hashlib.sha256(Path(place).read_bytes()).hexdigest() for place in places.values()} == set(places)
        assert set(places) == {sha, empty}
    assert connection.push({}) == {}


def test_a_file_that_is_not_what_it_should_be_is_not_pushed(connection: Connection, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"changed")
    sha = hashlib.sha256(b"as it was").hexdigest()
    with pytest.raises(RecordError, match="changed or damaged"):
        connection.push({sha: wrong})
    with pytest.raises(RecordError, match="cannot be read"):
        connection.push({sha: tmp_path / "gone"})


def test_an_agent_answers_questions_until_its_channel_is_closed(connection: Connection) -> None:
    channel = connection.start_agent()
    assert not channel.unfinished
    channel.send(Hello())
    hello = channel.receive(WAIT_S)
    assert isinstance(hello, HelloBack)
    assert hello.agent_sha == connection.agent_sha
    channel.send(AskFacts(full=False))
    assert isinstance(channel.receive(WAIT_S), Facts)
    channel.close()
    channel.close()
    with pytest.raises(LinkError):
        ask(channel)


def test_a_session_measures_and_tells_of_it_in_order(connection: Connection, store: Store, tmp_path: Path) -> None:
    sha, path = file(store, tmp_path)
    connection.hold("edgeprof run x", "run-x")
    places = connection.push({sha: path})
    channel = connection.open_session("run-x")
    assert not channel.unfinished
    for _ in range(2):
        channel.send(plan(places[sha]))
        events = [channel.receive(WAIT_S) for _ in range(5)]
        assert [type(event) for event in events] == [Started, Measured, Started, Measured, Done]
        assert [event.round for event in events if isinstance(event, Measured)] == [0, 1]
    channel.close()
    channel.close()
    with pytest.raises(LinkError):
        channel.send(plan(places[sha]))


def test_a_channel_that_is_closed_in_a_round_ends_what_is_measured(
    connection: Connection, store: Store, tmp_path: Path
) -> None:
    sha, path = file(store, tmp_path)
    connection.hold("edgeprof run x", "run-x")
    channel = connection.open_session("run-x")
    channel.send(plan(connection.push({sha: path})[sha], rounds=1000))
    assert isinstance(channel.receive(WAIT_S), Started)
    channel.close()
    assert not agents(tmp_path, "worker", "session")


def test_a_session_is_ended_with_its_connection_whatever_it_did(connection: Connection, tmp_path: Path) -> None:
    connection.hold("edgeprof run x", "run-x")
    connection.open_session("run-x")
    connection.close()
    connection.close()
    assert not agents(tmp_path, "serve", "session")


def test_a_session_that_was_closed_can_be_opened_again(connection: Connection, store: Store, tmp_path: Path) -> None:
    sha, path = file(store, tmp_path)
    connection.hold("edgeprof run x", "run-x")
    for _ in range(2):
        channel = connection.open_session("run-x")
        assert not channel.unfinished
        channel.send(plan(connection.push({sha: path})[sha], rounds=1))
        assert [type(channel.receive(WAIT_S)) for _ in range(3)] == [Started, Measured, Done]
        channel.close()


def test_nobody_waits_for_what_does_not_come(connection: Connection) -> None:
    connection.hold("edgeprof run x", "run-x")
    channel = connection.open_session("run-x")
    with pytest.raises(LinkError, match="has not said anything"):
        channel.receive(0.2)


def test_a_closed_connection_is_of_use_again(connection: Connection, store: Store, tmp_path: Path) -> None:
    """It reaches the device anew when something is asked, and lets go of it again."""
    sha, path = file(store, tmp_path)
    connection.close()
    assert Path(connection.push({sha: path})[sha]).exists()
    ask(connection.start_agent())
    connection.close()
    assert not agents(tmp_path, "serve")


def ask(channel: AgentChannel) -> None:
    """A question and its answer."""
    channel.send(Hello())
    assert isinstance(channel.receive(WAIT_S), HelloBack)


def agents(tmp_path: Path, *modes: str) -> bool:
    """Whether an agent of this test in one of these modes still runs when all have had time to end."""
    try:
        processes.await_value(lambda: None if _living(tmp_path, modes) else True)
    except AssertionError:
        return True
    return False


def _living(tmp_path: Path, modes: tuple[str, ...]) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            words = place.read_text().split("\0")
            if any(word.startswith(str(tmp_path)) for word in words) and set(modes) & set(words):
                found.append(" ".join(words))
    return found
