"""This machine as a device: what the host sees of an agent that lives, dies, is silent or is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import process_tools as processes
import pytest

from edgeprof import target
from edgeprof.errors import DeviceError, LinkError, RecordError
from edgeprof.records import Device
from edgeprof.store import Store
from edgeprof.target.build import agent_bytes, agent_zip
from edgeprof.target.local import LocalConnection
from edgeprof.target.protocol import AskFacts, Facts, Hello, HelloBack

HERE = Device(name="localhost", transport="local")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "a store – 試" / ".edgeprof")
    yield made
    made.close()


@pytest.fixture
def connection(store: Store) -> Iterator[LocalConnection]:
    with LocalConnection(HERE, store) as made:
        yield made


def python_that(tmp_path: Path, script: str) -> Device:
    """A device whose "Python" is a shell script."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Device(name="odd", transport="local", python=str(path))


def test_the_agent_answers_in_typed_events(connection: LocalConnection) -> None:
    channel = connection.start_agent()
    channel.send(Hello())
    hello = channel.receive(30)
    assert isinstance(hello, HelloBack)
    assert hello.agent_sha == connection.agent_sha
    channel.send(AskFacts())
    facts = channel.receive(60)
    assert isinstance(facts, Facts)
    assert {"onnxruntime", "openvino", "ai-edge-litert"} <= set(facts.facts.runtimes)
    pid = channel.pid
    channel.close()
    channel.close()
    assert not processes.alive(pid)


def test_the_agents_bytes_are_the_same_every_time(store: Store) -> None:
    """Also in another process, whose dictionaries and clock differ."""
    import hashlib

    code = "import sys; from edgeprof.target.build import agent_bytes; sys.stdout.buffer.write(agent_bytes())"
    env = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60, env=env).stdout
    assert other == agent_bytes()
    path, sha = agent_zip(store)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha


def test_an_agent_needs_nothing_of_edgeprof(store: Store, tmp_path: Path) -> None:
    """-I: no environment, no current folder; -S: no installed packages, so neither edgeprof nor numpy."""
    with LocalConnection(python_that(tmp_path, f'exec "{sys.executable}" -I -S "$@"'), store) as connection:
        channel = connection.start_agent()
        channel.send(Hello())
        assert isinstance(channel.receive(30), HelloBack)
        channel.send(AskFacts())
        facts = channel.receive(60)
    assert isinstance(facts, Facts)
    assert facts.facts.runtimes == {}


def test_pushed_files_are_where_the_store_has_them_if_whole(store: Store, connection: LocalConnection) -> None:
    sha = store.add_bytes(b"a model")
    assert connection.push({sha: store.blob(sha)}) == {sha: str(store.blob(sha))}
    store.blob(sha).write_bytes(b"a Model")
    with pytest.raises(RecordError, match="changed or damaged") as caught:
        connection.push({sha: store.blob(sha)})
    assert caught.value.hint is not None
    store.blob(sha).unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        connection.push({sha: store.blob(sha)})


def test_an_agent_that_dies_is_a_broken_link(connection: LocalConnection) -> None:
    channel = connection.start_agent()
    channel.send(Hello())
    channel.receive(30)
    os.kill(channel.pid, signal.SIGKILL)
    with pytest.raises(LinkError, match="killed by signal 9") as caught:
        channel.receive(30)
    assert caught.value.transient
    with pytest.raises(LinkError):
        channel.send(Hello())


def test_a_silent_agent_is_given_up_at_the_deadline(store: Store, tmp_path: Path) -> None:
    with LocalConnection(python_that(tmp_path, "exec sleep 600"), store) as connection:
        channel = connection.start_agent()
        channel.send(Hello())
        with pytest.raises(LinkError, match="not said anything for 0 s"):
            channel.receive(0.2)
        channel._process.kill()  # spares the wait for a process that ignores its closed stdin


def test_an_agent_that_talks_nonsense_is_a_broken_link(store: Store, tmp_path: Path) -> None:
    with (
        LocalConnection(python_that(tmp_path, "echo Welcome to this board; cat > /dev/null"), store) as connection,
        pytest.raises(LinkError, match="no event: b'Welcome"),
    ):
        connection.start_agent().receive(30)


def test_a_python_that_cannot_run_the_agent_says_why(store: Store, tmp_path: Path) -> None:
    """That will not pass by trying again, so it is no LinkError."""
    script = "echo 'SyntaxError: too old' >&2; exit 1"
    with LocalConnection(python_that(tmp_path, script), store) as connection:
        channel = connection.start_agent()
        with pytest.raises(DeviceError, match="exit status 1: SyntaxError: too old") as caught:
            channel.receive(30)
    assert not isinstance(caught.value, LinkError)
    assert "Python 3.8" in (caught.value.hint or "")


def test_a_python_that_is_not_there_is_told_with_its_key(store: Store) -> None:
    with pytest.raises(DeviceError, match="no such Python: /no/python") as caught:
        target.connect(Device(name="odd", transport="local", python="/no/python"), store)
    assert caught.value.where == "devices/odd.toml, python"


def test_a_file_that_is_no_program_is_told(store: Store, tmp_path: Path) -> None:
    device = python_that(tmp_path, "")
    (tmp_path / "python").write_bytes(b"\x00\x01")
    with LocalConnection(device, store) as connection, pytest.raises(DeviceError, match="cannot be started"):
        connection.start_agent()


def test_ctrl_c_does_not_reach_the_agent(connection: LocalConnection) -> None:
    """The terminal sends it to the host's process group; the host ends the agent in order."""
    channel = connection.start_agent()
    assert os.getpgid(channel.pid) != os.getpgid(0)


def test_a_host_killed_by_sigkill_leaves_no_agent(store: Store) -> None:
    code = (
        "import sys, time; from pathlib import Path; from edgeprof.store import Store\n"
        "from edgeprof.records import Device; from edgeprof.target.local import LocalConnection\n"
        "channel = LocalConnection(Device(name='x', transport='local'), Store(Path(sys.argv[1]))).start_agent()\n"
        "print(channel.pid, flush=True); time.sleep(600)"
    )
    host = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE)
    assert host.stdout is not None
    agent = int(host.stdout.readline())
    assert processes.alive(agent)
    host.kill()
    host.wait()
    host.stdout.close()
    processes.await_end(agent)


def test_waiting_for_an_event_takes_no_processor_time(connection: LocalConnection) -> None:
    """Counted in processor time, not on the clock: a busy wait of 0.5 s would cost 0.5 s of it."""
    channel = connection.start_agent()
    before = time.process_time()
    with pytest.raises(LinkError):
        channel.receive(0.5)
    assert time.process_time() - before < 0.25
