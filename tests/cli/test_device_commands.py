"""`edgeprof device add`, `probe`, `doctor`, `trust` and `clean` as a user types them, with the real sshd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tomllib
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from testbed.sshd import Sshd

SUITE = {"training", "exporters", "devices"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


@pytest.fixture
def empty(desk: Desk) -> Desk:
    """A desk in a folder that is no suite."""
    shutil.rmtree(desk.root)
    desk.root.mkdir()
    return desk


def address(sshd: Sshd, host: str = "127.0.0.1") -> str:
    return f"{sshd.user}@{host}:{sshd.port}"


def add(desk: Desk, sshd: Sshd, *more: str, name: str = "pi", at: str | None = None, code: int = 0) -> Any:
    """`device add` with the key that the server takes."""
    words = ["device", "add", name, at or address(sshd), "--key-file", str(sshd.key_file), *more]
    return desk.edgeprof(*words, code=code)


def told(desk: Desk, name: str = "pi") -> dict[str, Any]:
    """What stands in a device file."""
    return tomllib.loads((desk.root / "devices" / f"{name}.toml").read_text(encoding="utf-8"))


def files(folder: Path) -> dict[str, bytes]:
    """All that a user has in a suite."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".edgeprof" not in path.parts
    }


def test_add_in_an_empty_folder_makes_a_suite_and_waits_for_trust(loopback: Sshd, empty: Desk) -> None:
    first = add(empty, loopback, code=5)
    assert "made a suite in .:" in first.stderr
    assert f"edgeprof device trust pi --fingerprint {loopback.fingerprint}" in first.stderr
    assert {path.name for path in empty.root.iterdir()} >= SUITE
    written = told(empty)
    assert written["host"] == "127.0.0.1"
    assert Path(written["key_file"]) == loopback.key_file
    empty.edgeprof("device", "trust", "pi", "--fingerprint", loopback.fingerprint)
    done = add(empty, loopback)
    assert "written     devices/pi.toml" in done.stdout
    assert "edgeprof run --device pi" in done.stderr
    assert {"transport", "host", "port", "user", "key_file", "description", "tags"} == set(told(empty))
    assert "python " in empty.edgeprof("device", "probe", "pi").stdout


def test_add_with_the_fingerprint_is_one_command_and_one_json_document(loopback: Sshd, desk: Desk) -> None:
    (desk.root / "devices" / "mine.toml").write_text('transport = "local"\n# my own words\n')
    (desk.root / "notes.txt").write_text("mine")
    before = files(desk.root)
    key = shutil.copy(loopback.key_file, desk.root / "id")
    done = add(
        desk, loopback, "--fingerprint", loopback.fingerprint, "--json", "--key-file", "id", "--workdir", "~/w x"
    )
    answer = json.loads(done.stdout)
    assert answer["device"] == "pi"
    assert answer["host_key"] == loopback.fingerprint
    assert answer["facts"]["python"]
    assert answer["file"] == str(desk.root / "devices" / "pi.toml")
    assert told(desk)["key_file"] == str(key), "it serves from any folder"
    assert told(desk)["workdir"] == "~/w x"
    after = files(desk.root)
    assert {name: after[name] for name in before} == before, "what was there is untouched"
    assert set(after) - set(before) == {"devices/pi.toml", "devices/known_hosts", "id"}


@pytest.mark.slow
def test_add_again_looks_again_and_another_board_does_not_get_the_name_by_accident(loopback: Sshd, desk: Desk) -> None:
    expected = ("--fingerprint", loopback.fingerprint)
    add(desk, loopback, *expected)
    file = desk.root / "devices" / "pi.toml"
    file.write_text(f"{file.read_text()}threads = [2]\n")  # what a user adds is the user's
    add(desk, loopback)
    one = told(desk)
    assert one["threads"] == [2]
    other = address(loopback, "localhost")
    refused = add(desk, loopback, *expected, at=other, code=2)
    assert "there is a device 'pi' already, at 127.0.0.1" in refused.stderr
    assert "--force" in refused.stderr
    assert told(desk) == one
    add(desk, loopback, *expected, "--force", at=other)
    assert told(desk) == {**{key: one[key] for key in one if key != "threads"}, "host": "localhost"}


@pytest.mark.slow
def test_add_that_fails_leaves_the_files_as_they_were(loopback: Sshd, desk: Desk, tmp_path: Path) -> None:
    add(desk, loopback, "--fingerprint", loopback.fingerprint)
    before = files(desk.root)
    wrong = f"SHA256:{'A' * 43}"
    assert "expected is" in add(desk, loopback, "--fingerprint", wrong, name="new", code=5).stderr
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        closed = add(desk, loopback, name="new", at=f"127.0.0.1:{bound.getsockname()[1]}", code=5)
    assert "is closed" in closed.stderr
    assert "it is not written yet: say it to edgeprof device add" in closed.stderr
    nobody = add(desk, loopback, name="new", at=f"nobody-at-all@127.0.0.1:{loopback.port}", code=5)
    assert "nobody-at-all may not log in" in nobody.stderr
    assert files(desk.root) == before


@pytest.mark.parametrize(
    "name",
    ["../x", "a b", "a\nb", "-x", "all", "x;y", "$(touch owned)", "'\"", ".hidden", "x/y", "\x1b[2J", "", "x" * 65],
)
def test_a_name_that_is_none_is_refused_before_anything_is_done(desk: Desk, name: str) -> None:
    refused_unseen(desk, name, "pi@127.0.0.1:1")


@pytest.mark.parametrize(
    "at",
    [
        "-oProxyCommand=touch owned",
        "-oProxyCommand=touch",
        "$(touch owned)",
        "a b",
        "x\ny",
        "\x1b[2J",
        "pi@",
        "@h",
        "a@b@c",
        "-l@h",
        "h:",
        "h:0",
        "h:99999",
        "h:x",
        "[::1]:22x",
        "ssh://pi@h:22",
        "../x",
        "",
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_done(desk: Desk, at: str) -> None:
    refused_unseen(desk, "pi", at)


def refused_unseen(desk: Desk, name: str, at: str) -> None:
    """In this process: there are many."""
    from typer.testing import CliRunner

    from edgeprof.cli.app import app

    done = CliRunner().invoke(app, ["--suite", str(desk.root), "device", "add", "--json", "--", name, at])
    assert done.exit_code == 2
    answer = json.loads(done.stdout)
    assert answer["error"]["what"].isprintable()
    assert files(desk.root) == {}
    assert not (desk.root / ".edgeprof").exists()


def test_an_address_of_the_sixth_internet_protocol_is_taken_with_brackets_and_port(desk: Desk) -> None:
    with socket.socket(socket.AF_INET6) as bound:
        bound.bind(("::1", 0))
        port = bound.getsockname()[1]
        done = desk.edgeprof("device", "add", "six", f"pi@[::1]:{port}", code=5)
    assert f"six, pi@[::1]:{port}: port {port} is closed" in done.stderr


MORE_ERRORS: list[tuple[list[str], int]] = [
    (["clean", "pi"], 5),
    (["trust", "pi"], 5),
    (["doctor", "pi", "--exporter", "onnx-fp32"], 5),
    (["clean", "pi", "--older-than", "soon"], 2),
    (["trust", "here"], 2),
    (["clean", "here"], 2),
    (["doctor", "pi", "--exporter", "nothing"], 2),
    (["add", "new"], 2),
]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["probe", "pi"], 5),
        (["add", "new", "127.0.0.1:{port}"], 5),
        (["probe", "nobody"], 2),
        (["probe"], 2),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_ERRORS),
        (["probe", "pi", "--nonsense"], 2),
    ],
)
def test_an_error_under_json_is_the_one_document_too(desk: Desk, words: list[str], code: int) -> None:
    (desk.root / "devices" / "here.toml").write_text('transport = "local"\n')
    (desk.root / "exporters" / "onnx-fp32.toml").write_text('format = "onnx"\nprecision = "fp32"\n')
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        (desk.root / "devices" / "pi.toml").write_text(f'transport = "ssh"\nhost = "127.0.0.1"\nport = {port}\n')
        done = desk.edgeprof("device", *(word.format(port=port) for word in words), "--json", code=code)
    answer = json.loads(done.stdout)
    assert set(answer) == {"schema", "error"}
    assert answer["error"]["exit_code"] == code
    assert answer["error"]["what"]


@pytest.mark.slow
def test_doctor_and_clean_say_what_they_found(loopback: Sshd, desk: Desk, tmp_path: Path) -> None:
    (desk.root / "exporters" / "onnx-fp32.toml").write_text('format = "onnx"\nprecision = "fp32"\n')
    desk.add(loopback, "pi", lease=str(tmp_path), workdir=str(tmp_path / "work"))
    said = desk.edgeprof("device", "doctor", "pi")
    assert "pi" in said.stdout
    answer = json.loads(desk.edgeprof("device", "doctor", "pi", "--json").stdout)
    assert set(answer) == {"schema", "device", "findings"}
    assert all(one["what"] for one in answer["findings"])
    (tmp_path / "work" / "blobs" / ("0" * 64)).write_bytes(b"x" * 1_000_000)
    assert json.loads(desk.edgeprof("device", "clean", "pi", "--json").stdout)["files"] == 0
    assert "1.0 MB" in desk.edgeprof("device", "clean", "pi", "--all").stdout


class ReadOnly(Desk):
    """To its commands a folder of the suite is read-only, by the mount: root may write whatever rights say."""

    folder = ""

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        place = self.root / self.folder
        mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd . && exec "$@"'
        return ["unshare", *user, "--mount", "sh", "-c", mount, str(place), *super()._command(arguments)]


@pytest.mark.parametrize("folder", ["devices", pytest.param("", marks=pytest.mark.slow)])
def test_a_suite_that_cannot_be_written_is_told(loopback: Sshd, tmp_path: Path, folder: str) -> None:
    desk = ReadOnly(tmp_path / "desk")
    desk.folder = folder
    with (desk.home / ".ssh" / "known_hosts").open("w") as file:
        file.write(loopback.known_hosts_line)
    done = add(desk, loopback, code=2)
    assert "Read-only file system" in done.stderr
    assert "hint: " in done.stderr
    assert files(desk.root) == {}


def test_ctrl_c_while_a_board_says_nothing_ends_the_command_at_once(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        process = desk.begin("device", "add", "pi", at, "--json")
        link = silent.accept()[0]
        link.recv(100)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        link.close()
    assert process.returncode == 130
    assert json.loads(stdout)["error"]["exit_code"] == 130
    assert "Traceback" not in stderr
    assert files(desk.root) == {}


def test_the_built_in_suite_is_not_written_by_trust_or_probe(empty: Desk) -> None:
    """Only `add` makes a suite."""
    empty.edgeprof("device", "trust", "nobody", code=2)
    assert not SUITE & {path.name for path in empty.root.iterdir()}
