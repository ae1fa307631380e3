"""The examples in the documents are executed: every `$ ` line of a ```console block, in order, in a small suite.

A line of the form `# exit N` right above a command says the exit code that it ends with. What is not run is in
ELSEWHERE, with the reason. Files that the reader is to have (`old.onnx`, see READERS) lie in the suite, copies of what
it exports. The boards that the reader has (BOARDS) are a real SSH server on this machine, under those names in
`~/.ssh/config`; who is asked whether its host key is right says yes on a terminal. Three things differ from a
reader's: the user (USER_OF), the fingerprint where the page writes `SHA256:...`, and KEYS in the device files.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
import test_layers
import typer
from conftest import Done, edgeprof
from desk import Desk
from terminal import Terminal
from testbed.sshd import Sshd

from edgeprof.agent import canary, timing, worker
from edgeprof.agent import operators as profiler
from edgeprof.agent.lease import HOST_S
from edgeprof.cli.app import app
from edgeprof.export.verify import SAMPLES
from edgeprof.measure import conditions, inputs, trust
from edgeprof.measure.operators import INFERENCES
from edgeprof.pipeline.ask import method_of
from edgeprof.rank import bounds
from edgeprof.records import ADVICE, PASSING, Device, Method
from edgeprof.stats import pairs, sequence, shape, tails
from edgeprof.target.protocol import PROTOCOL
from edgeprof.target.ssh import connection, stream

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
]
ELSEWHERE = {
    "git": "fetches this repository from wherever the reader has it",
    "make": "CI runs make demo and make test from a fresh clone",
    "pip": "tests/test_wheel.py installs the wheel",
}
"""Commands that are not run here -> why."""
READERS = ("old.onnx", "new.onnx", "model.onnx", "other.tflite")
BOARDS = ("raspberrypi.local", "raspberry-pi", "jetson")
USER_OF = "pi@"
"""A server that anybody may start lets nobody in but whoever started it."""
KEYS = {
    "python": ("the tester's, which has all runtimes", sys.executable),
    "provision": ("fetching and sending wheels is tested by tests/target/test_wheels.py and tests/faults", "never"),
    "threads": ("a candidate less, to be quicker", [1]),
    "exporters": ("tests/export makes a file by each", ["onnx-fp32", "openvino-fp32", "tflite-fp32"]),
}
"""Keys that a board's file gets here unless it has them -> why, and the value. Its lease is the test's own too."""


def examples(text: str) -> list[tuple[str, int]]:
    """(command, exit code) of every example."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        code = 0
        for line in block.splitlines():
            if line.startswith("# exit "):
                code = int(line.removeprefix("# exit "))
            elif line.startswith("$ "):
                found.append((line.removeprefix("$ ").split("  #")[0].strip(), code))
                code = 0
    return found


class Reader:
    """Somebody who types what a page says, in a suite with one finished run."""

    def __init__(self, folder: Path, done: Done, server: Sshd) -> None:
        self.suite = folder / "suite"
        self.server = server
        shutil.copytree(done.root, self.suite)
        self.desk = Desk(folder, self.suite)
        self.lease = folder / "lease"
        self.lease.mkdir()
        wanted = [word for name in ("onnx-fp32", "tflite-fp32") for word in ("--exporter", name)]
        edgeprof("export", *wanted, "--out", str(folder / "files"), cwd=self.suite)
        for name in READERS:
            (exported,) = (folder / "files").glob(f"*{Path(name).suffix}")
            shutil.copyfile(exported, self.suite / name)
        (self.desk.home / ".ssh" / "config").write_text(
            f"Host {' '.join(BOARDS)}\n  HostName {server.host}\n  Port {server.port}\n"
            f'  IdentityFile "{server.key_file}"\n'
        )
        self.fit_boards()

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**self.desk.environment, "PATH": path}

    def type(self, command: str) -> tuple[int, str]:
        """The exit code and what was printed."""
        words = shlex.split(command.replace(USER_OF, f"{self.server.user}@").replace("SHA256:...", self.fingerprint))
        if words[1:3] in (["device", "add"], ["device", "trust"]):
            with Terminal(words, self.suite, self.environment) as terminal:
                if not self.trusted and "--fingerprint" not in words:
                    terminal.read_until("Is it the board's key?")
                    terminal.type("yes")
                code, said = terminal.end(), terminal.said
            self.fit_boards()
            return code, said
        ran = subprocess.run(
            words,
            cwd=self.suite,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        return ran.returncode, ran.stdout + ran.stderr

    @property
    def fingerprint(self) -> str:
        return self.server.fingerprint

    @property
    def trusted(self) -> bool:
        known = self.suite / "devices" / "known_hosts"
        return known.exists() and self.server.known_hosts_line in known.read_text()

    def fit_boards(self) -> None:
        """See KEYS."""
        for path in (self.suite / "devices").glob("*.toml"):
            told = tomllib.loads(path.read_text(encoding="utf-8"))
            if told["transport"] == "ssh":
                added = {key: value for key, (_, value) in KEYS.items()} | {"lease": str(self.lease)}
                told = {**{key: value for key, value in added.items() if key not in told}, **told, "threads": [1]}
                lines = (f"{key} = {json.dumps(value)}\n" for key, value in told.items())
                path.write_text("".join(lines), encoding="utf-8")


def test_there_are_examples() -> None:
    assert sum(len(examples(page.read_text(encoding="utf-8"))) for page in PAGES) >= 40


def test_what_is_not_run_is_listed_and_all_that_is_listed_is_there() -> None:
    words = {shlex.split(command)[0] for page in PAGES for command, _ in examples(page.read_text(encoding="utf-8"))}
    assert words - {"edgeprof"} <= ELSEWHERE.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if examples(page.read_text(encoding="utf-8"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_examples_of_a_page_run(page: Path, done: Done, loopback: Sshd, tmp_path: Path) -> None:
    reader = Reader(tmp_path, done, loopback)
    for command, expected in examples(page.read_text(encoding="utf-8")):
        words = shlex.split(command)
        if words[0] in ELSEWHERE:
            continue
        code = 1 if words[1] == "choose" and not any_trusted(reader.suite) else expected
        ended, said = reader.type(command)
        assert ended == code, f"{page.name}: $ {command}\nexit {ended}\n{said}"


def test_the_numbers_of_the_method_page_are_those_of_the_code() -> None:
    """A threshold that is changed must be changed on the page that explains it."""
    how, quick = Method(), method_of(quick=True)
    said = " ".join((ROOT / "docs" / "method.md").read_text(encoding="utf-8").split())
    for words in (
        f"Inputs are {SAMPLES} test images in rotation",
        f"else {inputs.INPUTS} made up ones",
        f"the last {timing.KEPT_BYTES >> 20} MiB of them",
        f"warm-up (at least {how.warmup_min} runs and {how.warmup_s:g} s)",
        f"block (at least {how.block_min} samples and {how.block_s:g} s, at most {how.block_max})",
        f"not over after {how.timeout_s:g} s",
        f"From {sequence.first(0.95)} rounds on its 95% interval",
        f"every number of rounds up to {sequence.HORIZON}",
        f"After at least {how.min_rounds} rounds a cell is done when half its interval is at most {how.precision:.0%}",
        f"at {how.max_rounds} rounds, or when its processes, imports included, have taken {how.cell_s:g} s",
        f"up to {2 * how.max_rounds} rounds and {2 * how.cell_s:g} s",
        f"`--quick` is {quick.max_rounds} rounds of {quick.block_s:g} s at {quick.precision:.0%}",
        f"p99 needs {tails.P99_MIN_EFFECTIVE} independent samples",
        ", ".join(f"{sequence.first(bounds.confidence(n))} for {n}" for n in (9, 18)),
        f"a round with under {trust.MIN_SAMPLES} samples",
        f"the smaller at least {trust.MINOR_SHARE:.0%} of the rounds, at least {shape.SIZE:.0%} apart",
        f"of {shape.MIN_WITHIN} or more",
        f"at least {shape.MINOR_SHARE:.0%} of them, the valley between at most {shape.VALLEY} as dense",
        f"Mann-Kendall at {shape.FALSE_RATE:.0%}",
        f"Bonferroni over {len(shape.EARLY)} splits",
        f"a fixed clock below {conditions.LOWERED:.0%} of its highest",
        f"within {conditions.HOT_BELOW_C:g} °C of the lowest passive trip point",
        f"(a Pi that tells none: {conditions.PI_THROTTLES_C:g} °C)",
        f"stole over {conditions.STOLEN:.0%} of the measuring threads' time, and {conditions.TICKS_NS / 1e6:g} ms",
        f"without a core for over {conditions.WAITING:.0%} of the time",
        f"other programs used over {conditions.CROWDED:.0%} of it",
        f"over {conditions.SWITCHES_PER_S:g} involuntary switches a second and thread",
        f"the wall clock moved by over {conditions.CLOCK_STEP_NS / 1e6:g} ms",
        f"over {conditions.CANARY:.0%} slower than that of another three (from {2 * conditions.STRETCH} rounds on)",
        f"the clock not seen at {conditions.AT_TOP:.0%} of its highest",
        "more than 0.1% of the host outputs' spread (fp32), 1% (fp16), 5% (int8)",
        "more than 0.1% (fp32), 1% (fp16), 5% (int8, dynamic-int8)",
        f"{canary.PRODUCTS} products of {canary.SIDE} x {canary.SIDE} float32 matrices",
        f"{worker.CANARY_REPEATS} times before loading, {worker.CANARY_REPEATS} after the block",
        f"beyond {pairs.ZONE:.0%} (`--zone`)",
        f"({profiler.WARMUP} inferences, then {INFERENCES} that count)",
    ):
        assert words in said, f"docs/method.md does not say: {words}"
    assert [trust.differs_above(one) for one in ("fp32", "fp16", "int8", "dynamic-int8")] == [0.001, 0.01, 0.05, 0.05]
    assert trust.WRONG_TIMES == 10
    assert "ten times the difference that rounding explains" in said


def test_the_method_page_has_every_reason_and_whether_it_is_measured_again() -> None:
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([a-z -]+) \| .* \| (passing|lasting)(?:, pooled)? \|$", page, re.M))
    assert told == {reason: "passing" if reason in PASSING else "lasting" for reason in ADVICE}


def any_trusted(suite: Path) -> bool:
    """Whether the newest run has a candidate to choose: on a machine that was too restless for it there is none."""
    return any(one["trusted"] for one in json.loads(edgeprof("rank", "--json", cwd=suite).stdout)["candidates"])


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target, place in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name} links to {target}"
            if place:
                titles = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), re.M)
                assert place in {anchor(title) for title in titles}, f"{page.name} links to {target}#{place}"


def anchor(title: str) -> str:
    """Of a heading, as the usual viewers make it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_commands_that_are_named_exist_with_their_options() -> None:
    """Also those within a sentence."""
    top = typer.main.get_command(app)
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue
        for line in re.findall(r"`(edgeprof [a-z][^`]*)`", page.read_text(encoding="utf-8")):
            words = [word for word in line.split()[1:] if word != "..."]
            command = top
            while words and hasattr(command, "commands"):
                assert words[0] in command.commands, f"{page.name}: {line}"
                command = command.commands[words.pop(0)]
            known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
            asked = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
            assert asked <= known, f"{page.name}: {line}: {asked - known}"


def test_every_key_of_a_device_file_is_explained() -> None:
    page = (ROOT / "docs" / "add-a-device.md").read_text(encoding="utf-8")
    told = {key for row in re.findall(r"^\| (`.*?) \|", page, re.M) for key in re.findall(r"`([a-z_]+)`", row)}
    assert {field.name for field in msgspec.structs.fields(Device)} - {"name"} <= told


def test_errors_that_are_explained_are_those_of_the_code() -> None:
    """The first column of the table of errors quotes them, with `...` for what differs."""
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "edgeprof").rglob("*.py")))
    sources = re.sub(r"[\"']\s*\n\s*[frb]?[\"']", "", sources).replace('\\"', '"')
    page = (ROOT / "docs" / "add-a-device.md").read_text(encoding="utf-8")
    table = page.partition("## When it does not work")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    assert len(quoted) >= 15
    for error in quoted:
        for part in error.split("..."):
            assert part.strip() in sources, f"no error says {part.strip()!r}"


def test_the_tests_that_security_md_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) >= 20
    assert f"a line of over {stream.LINE_BYTES >> 20} MiB ends" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_the_architecture_page_has_the_parts_and_numbers_of_the_code() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| part | does | may import |")[2].partition("\n\n")[0]
    parts = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert parts == {part for part in test_layers.MAY_IMPORT if not part.startswith("__")}
    for words in (
        f"(protocol {PROTOCOL},",
        f"{connection.KEEP_S / 60:.0f} minutes",
        f"{HOST_S / 60:.0f} minutes for the agent that provisions and pushes",
    ):
        assert words in page, f"docs/architecture.md does not say: {words}"
