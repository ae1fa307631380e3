"""The agent as a process of its own, spoken to as a host does: whatever a runtime does, the agent says what it was."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import process_tools as processes
import pytest
import tiny_models

from edgeprof.target.build import agent_bytes

Event = dict[str, Any]
METHOD = {"warmup_s": 0.0, "warmup_min": 1, "block_s": 0.0, "block_min": 8, "block_max": 8, "timeout_s": 30.0}


class Agent:
    """A running agent and its pipes."""

    def __init__(self, program: Path, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(program), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(path)},
        )
        self.pending = b""

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")

    def hear(self, timeout_s: float = 60.0) -> Event:
        """The next event; an empty one when the agent has ended."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.pending:
            assert select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0], "no event"
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                return {}
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        event: Event = json.loads(line)
        return event

    def measure(self, cells: dict[str, Any], order: list[tuple[str, int]], **method: float) -> list[Event]:
        """Send a plan; the events up to `done`, without the `start`s."""
        self.send_plan(cells, order, **method)
        events: list[Event] = []
        while not events or events[-1]["event"] not in ("done", "error"):
            event = self.hear()
            assert event, "the agent ended"
            if event["event"] != "start":
                events.append(event)
        return events

    def send_plan(self, cells: dict[str, Any], order: list[tuple[str, int]], **method: float) -> None:
        rounds = [
            {"job": job, "round": number, "attempt": 0, "position": place} for place, (job, number) in enumerate(order)
        ]
        self.say(json.dumps({"call": "measure", "method": {**METHOD, **method}, "cells": cells, "rounds": rounds}))

    def worker(self) -> int:
        """The process that measures, once there is one."""
        return processes.await_value(lambda: next(iter(processes.children(self.process.pid)), None))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    folder = tmp_path / "an agent – 試"
    folder.mkdir()
    (folder / "agent.zip").write_bytes(agent_bytes())
    running = Agent(folder / "agent.zip", tiny_models.stand_in(tmp_path))
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        for pipe in (running.process.stdin, running.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def cell(tmp_path: Path) -> Any:
    """Makes a cell that has the stand-in runtime do something."""

    def make(does: str, **changes: Any) -> Event:
        model, samples = tmp_path / f"{abs(hash(does))}", tmp_path / "samples"
        model.write_text(does)
        ins = tiny_models.stand_in_inputs()
        samples.write_bytes(tiny_models.samples(ins, ins))
        made = {"format": "onnx", "precision": "fp32", "threads": 1, "cores": None, "wrong_above": 0.01}
        return {**made, "files": {"model.onnx": str(model)}, "samples": str(samples), **changes}

    return make


def test_hello_and_facts(agent: Agent) -> None:
    import hashlib

    agent.say('{"call": "hello"}')
    hello = agent.hear()
    assert (hello["event"], hello["protocol"]) == ("hello", 5)
    assert hello["agent_sha"] == hashlib.sha256(agent_bytes()).hexdigest()
    agent.say('{"call": "facts"}')
    facts = agent.hear()["facts"]
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["harness_overhead_ns"] > 0


def test_rounds_come_in_the_order_asked_with_all_their_numbers(agent: Agent, cell: Any) -> None:
    cells = {"a": cell("echo"), "b": cell("echo", threads=2)}
    order = [("b", 0), ("a", 0), ("a", 1), ("b", 1)]
    *rounds, done = agent.measure(cells, order, warmup_min=3)
    assert done == {"event": "done"}
    assert [(one["event"], one["job"], one["round"], one["position"]) for one in rounds] == [
        ("round", job, number, place) for place, (job, number) in enumerate(order)
    ]
    for one in rounds:
        assert len(one["samples_ns"]) == 8
        assert len(one["warmup_ns"]) == 3
        assert all(isinstance(sample, int) and sample > 0 for sample in one["samples_ns"])
        assert one["output_diff"] == 0.0
        assert one["peak_rss_bytes"] > one["model_rss_bytes"] >= 0
        assert one["threads_used"] == cells[one["job"]]["threads"]
        assert abs(one["started_at"] - time.time()) < 100
        assert one["load_ns"] > 0
        assert one["first_ns"] > 0


FAULTS = [
    ("crash", "crash", "killed by SIGSEGV while in warm-up|the timed block"),
    ("crash-loading", "crash", "killed by SIGSEGV while loading the file"),
    ("exit", "crash", "exit status 3 while in the first inference"),
    ("hang", "hang", "not finished within 2 s; it was in the first inference"),
    ("raise", "error", "ValueError: INVALID_ARGUMENT : the kernel says no"),
    ("foreign", "error", "^this is no model$"),
    ("nan", "nan", "NaN in 100% of the timed runs"),
    ("wrong", "outputs_wrong", "differ from the host's"),
    ("cached", "outputs_wrong", "differ from the host's"),
    ("shape", "outputs_wrong", "has the shape"),
    ("growing", "error", "broadcast"),
    ("other-threads", "error", "took 2 threads, asked were 1"),
]


@pytest.mark.parametrize(("does", "kind", "text"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_ends_its_cell_and_no_other(agent: Agent, cell: Any, does: str, kind: str, text: str) -> None:
    import re

    cells = {"bad": cell(does), "good": cell("echo")}
    order = [("bad", 0), ("good", 0), ("bad", 1), ("good", 1)]
    events = agent.measure(cells, order, timeout_s=2.0 if does == "hang" else 30.0)
    assert [(one["event"], one.get("job")) for one in events] == [
        ("failed", "bad"),
        ("round", "good"),
        ("round", "good"),
        ("done", None),
    ]
    failed = events[0]
    assert (failed["error_class"], failed["transient"]) == (kind, False)
    assert re.search(text, failed["message"])
    if does == "crash":
        assert failed["stderr"][-1] == "kernel 7 failed"


def test_what_a_runtime_prints_does_not_come_between(agent: Agent, cell: Any) -> None:
    events = agent.measure({"loud": cell("noise")}, [("loud", 0)])
    assert [one["event"] for one in events] == ["round", "done"]


def test_a_runtime_that_is_missing_is_named(agent: Agent, cell: Any, tmp_path: Path) -> None:
    (tiny_models.stand_in(tmp_path) / "onnxruntime" / "__init__.py").write_text("import no_such_library")
    failed = agent.measure({"a": cell("echo")}, [("a", 0)])[0]
    assert (failed["error_class"], failed["package"]) == ("missing_runtime", "onnxruntime")
    assert "no_such_library" in failed["message"]


def test_a_process_killed_from_outside_is_tried_once_more(agent: Agent, cell: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    cells = {"once": cell(f"killed-once {mark}"), "always": cell("killed")}
    once, always, _ = agent.measure(cells, [("once", 0), ("always", 0)])
    assert once["event"] == "round"
    assert (always["event"], always["error_class"], always["transient"]) == ("failed", "crash", True)
    assert "SIGKILL" in always["message"]


@pytest.mark.slow
def test_a_model_too_slow_for_its_time_gives_fewer_samples(agent: Agent, cell: Any) -> None:
    """It is not hanging: 100 samples of 0.2 s do not fit into 10 s, but some do."""
    event = agent.measure({"slow": cell("slow")}, [("slow", 0)], timeout_s=10.0, block_min=100, block_max=100)[0]
    assert event["event"] == "round"
    assert 1 <= len(event["samples_ns"]) < 50


def test_cores_are_bound_or_refused(agent: Agent, cell: Any) -> None:
    core = min(os.sched_getaffinity(0))
    cells = {"there": cell("echo", cores=[core]), "absent": cell("echo", cores=[core, 4711])}
    there, absent, _ = agent.measure(cells, [("there", 0), ("absent", 0)])
    assert there["event"] == "round"
    assert "core 4711 does not exist" in absent["message"]


def test_a_call_that_makes_no_sense_is_answered_and_the_next_is_served(agent: Agent) -> None:
    for text in ("", "nonsense", "[1]", '{"no": 1}', '{"call": "fly"}', '{"call": "measure"}', '{"call": ["x"]}'):
        agent.say(text)
        assert agent.hear()["event"] == "error", text
    agent.say('{"call": "hello"}')
    assert agent.hear()["event"] == "hello"


@pytest.mark.parametrize("how", ["stdin closes", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_goes_on_measuring_when_the_agent_is_to_end(agent: Agent, cell: Any, tmp_path: Path, how: str) -> None:
    agent.send_plan({"a": cell("hang")}, [("a", 0)])
    worker = agent.worker()
    assert agent.process.stdin is not None
    if how == "stdin closes":
        agent.process.stdin.close()
    else:
        agent.process.send_signal(signal.Signals[how])
    agent.process.wait(20)
    processes.await_end(worker)
    if how == "stdin closes":
        assert agent.process.returncode == 0


def test_what_a_runtime_started_dies_with_it(agent: Agent, cell: Any, tmp_path: Path) -> None:
    """A runtime that forks: its child would go on taking the processor from all that is measured later."""
    pids = tmp_path / "pids"
    failed = agent.measure({"a": cell(f"hang {pids}")}, [("a", 0)], timeout_s=2.0)[0]
    assert failed["error_class"] == "hang"
    for pid in pids.read_text().split():
        processes.await_end(int(pid))


def test_a_worker_whose_round_is_over_is_gone(agent: Agent, cell: Any) -> None:
    agent.measure({"a": cell("echo")}, [("a", 0)])
    assert processes.children(agent.process.pid) == []


def test_an_old_python_says_so_in_words(tmp_path: Path) -> None:
    """The first lines of the zip must be readable for any Python; the version test stands before all imports."""
    import zipfile

    (tmp_path / "agent.zip").write_bytes(agent_bytes())
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        text = archive.read("__main__.py").decode()
    before, _, _ = text.partition("from edgeprof_agent")
    assert "sys.version_info < (3, 8)" in before
    pretend = "import sys; sys.version_info = (3, 6, 9)\n" + text
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "needs Python 3.8 or newer; this is 3.6" in done.stderr


def test_real_files_of_all_formats(agent: Agent, tmp_path: Path) -> None:
    """The stand-in hides the real ONNX Runtime here, so OpenVINO and TFLite; all three run in tests/measure."""
    cells = {}
    for format in ("openvino", "tflite"):
        samples = tmp_path / f"{format}.npz"
        samples.write_bytes(tiny_models.samples(tiny_models.inputs(format), tiny_models.outputs(format)))
        files = {name: str(path) for name, path in tiny_models.files(format).items()}
        cell = {"format": format, "precision": "fp32", "threads": 1, "cores": None, "wrong_above": 0.01}
        cells[format] = {**cell, "files": files, "samples": str(samples)}
    events = agent.measure(cells, [("openvino", 0), ("tflite", 0)])
    assert [one["event"] for one in events] == ["round", "round", "done"]
    assert all(one["output_diff"] < 1e-5 for one in events[:-1])
    assert [one["precision_executed"] for one in events[:-1]] == ["fp32", "fp32"]
