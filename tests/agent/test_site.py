"""Wheels unpacked on the device: whole or not at all, and never outside their folder."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import stat
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import process_tools as processes
import pytest

from edgeprof.agent import site
from edgeprof.agent.refusal import Refused
from edgeprof.agent.site import sites, unpack

NAME = "tiny-1.0-py3-none-any.whl"
GOOD = {
    "tiny/__init__.py": b"VALUE = 42\n",
    "tiny/data/größe.txt": b"x" * 100_000,
    "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.data/purelib/tiny_pure.py": b"PURE = 1\n",
    "tiny-1.0.data/platlib/tiny/native.so": b"\x7fELF",
    "tiny-1.0.data/scripts/tiny": b"#!python\n",
    "tiny-1.0.data/data/etc/tiny.conf": b"",
    "tiny-1.0.data/stray": b"",
}


def wheel(workdir: Path, members: Mapping[str, bytes] = GOOD, *, mode: int = 0) -> str:
    """A wheel among the blobs; returns its sha256."""
    data = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return blob(workdir, data.getvalue())


def blob(workdir: Path, data: bytes) -> str:
    sha = hashlib.sha256(data).hexdigest()
    (workdir / "blobs").mkdir(parents=True, exist_ok=True)
    (workdir / "blobs" / sha).write_bytes(data)
    return sha


def outside(tmp_path: Path) -> list[str]:
    """What lies where nothing may be."""
    return [path.name for path in tmp_path.rglob("*") if path.is_file() and "work" not in path.parts]


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path / "some folder – 試" / "work"


def test_an_unpacked_wheel_can_be_imported(workdir: Path) -> None:
    sha = wheel(workdir)
    assert sites(str(workdir), [sha]) == {}
    path = unpack(str(workdir), sha, NAME)
    assert sites(str(workdir), ["0" * 64, sha]) == {sha: path}
    code = "import tiny, tiny_pure, importlib.metadata as m; print(tiny.VALUE, tiny_pure.PURE, m.version('tiny'))"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "42 1 1.0\n"
    found = {str(one.relative_to(path)) for one in Path(path).rglob("*") if one.is_file() and one.suffix != ".pyc"}
    assert found == {
        "tiny/__init__.py",
        "tiny/data/größe.txt",
        "tiny/native.so",
        "tiny_pure.py",
        "tiny-1.0.dist-info/METADATA",
    }
    assert not (workdir / "blobs" / sha).exists()


def test_what_is_unpacked_is_not_unpacked_again(workdir: Path) -> None:
    sha = wheel(workdir)
    path = unpack(str(workdir), sha, NAME)
    os.utime(path, (1, 1))
    assert unpack(str(workdir), sha, NAME) == path
    sites(str(workdir), [sha])
    assert os.stat(path).st_mtime > 1, "it is in use again"


@pytest.mark.parametrize(
    "name",
    ["../evil", "/evil", "a/../../evil", "a//evil", "./evil", "a\\..\\evil", "x.data/purelib/../../evil", "..", "a/.."],
)
def test_nothing_is_written_outside(workdir: Path, tmp_path: Path, name: str) -> None:
    sha = wheel(workdir, {"tiny/__init__.py": b"", name: b"evil"})
    with pytest.raises(Refused) as refusal:
        unpack(str(workdir), sha, NAME)
    assert refusal.value.kind == "damaged"
    assert outside(tmp_path) == []
    assert {entry.name for entry in (workdir / "site").iterdir()} == {".lock"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(workdir: Path, kind: int) -> None:
    sha = wheel(workdir, {"tiny/link": b"/etc/passwd"}, mode=kind | 0o644)
    with pytest.raises(Refused, match="tiny/link"):
        unpack(str(workdir), sha, NAME)


@pytest.mark.parametrize("sha", ["../blobs", "", "0" * 63, "/etc", "A" * 64])
def test_only_a_sha256_becomes_a_path(workdir: Path, sha: str) -> None:
    with pytest.raises(Refused):
        unpack(str(workdir), sha, NAME)
    with pytest.raises(Refused):
        sites(str(workdir), [sha])


def test_a_wheel_that_is_not_there_is_told(workdir: Path) -> None:
    with pytest.raises(Refused, match=r"tiny-1\.0-py3-none-any\.whl is not on this device"):
        unpack(str(workdir), "0" * 64, NAME)


def test_a_wheel_changed_on_the_device_is_told_and_removed(workdir: Path) -> None:
    """So that it is sent again."""
    sha = wheel(workdir)
    path = workdir / "blobs" / sha
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    with pytest.raises(Refused, match="sent again"):
        unpack(str(workdir), sha, NAME)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(200)])
def test_what_is_no_wheel_is_refused(workdir: Path, content: bytes) -> None:
    sha = blob(workdir, content)
    with pytest.raises(Refused, match="no wheel"):
        unpack(str(workdir), sha, NAME)
    assert sites(str(workdir), [sha]) == {}


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8, 0.95])
def test_a_wheel_damaged_before_it_was_hashed_is_refused(workdir: Path, place: float) -> None:
    sha = wheel(workdir)
    data = bytearray((workdir / "blobs" / sha).read_bytes())
    for offset in range(20):
        data[int(len(data) * place) + offset] ^= 0xFF
    sha = blob(workdir, bytes(data))
    with pytest.raises(Refused):
        unpack(str(workdir), sha, NAME)
    assert {entry.name for entry in (workdir / "site").iterdir()} == {".lock"}


def test_a_wheel_that_does_not_fit_is_not_begun(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size unpacked: 60 MB of zeros are a small file."""
    sha = wheel(workdir, {"tiny/zeros": bytes(60_000_000)})
    monkeypatch.setattr(site, "free_bytes", lambda folder: 50_000_000)
    with pytest.raises(Refused, match="needs 68 MB unpacked, 50 MB are free") as refusal:
        unpack(str(workdir), sha, NAME)
    assert refusal.value.kind == "disk_full"
    assert (workdir / "blobs" / sha).exists()


def test_a_kill_in_the_middle_leaves_no_half_folder(workdir: Path) -> None:
    """Nor does it stay in the way of the next."""
    sha = wheel(workdir, {f"tiny/{number:04}": b"x" * 1000 for number in range(3000)})
    code = f"from agent.site import unpack; unpack({str(workdir)!r}, {sha!r}, {NAME!r})"
    package = str(Path(site.__file__).parent.parent)
    with subprocess.Popen([sys.executable, "-S", "-c", code], env={"PYTHONPATH": package}) as process:
        processes.await_value(lambda: next(workdir.glob("site/.tmp-*/tiny/0100"), None))
        process.send_signal(signal.SIGKILL)
    assert list(workdir.glob("site/.tmp-*"))
    assert sites(str(workdir), [sha]) == {}
    path = unpack(str(workdir), sha, NAME)
    assert len(list(Path(path).rglob("tiny/*"))) == 3000
    assert not list(workdir.glob("site/.tmp-*"))


def test_two_at_once_both_get_it(workdir: Path) -> None:
    sha = wheel(workdir, {f"tiny/{number:04}": b"x" * 1000 for number in range(500)})
    code = f"from agent.site import unpack; print(unpack({str(workdir)!r}, {sha!r}, {NAME!r}))"
    env = {"PYTHONPATH": str(Path(site.__file__).parent.parent), "PYTHONUTF8": "1"}
    command = [sys.executable, "-S", "-c", code]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0].strip() for process in both]
    assert told == [str(workdir / "site" / sha)] * 2
    assert len(list((workdir / "site" / sha).rglob("tiny/*"))) == 500


def test_names_beyond_ascii_are_the_same_in_any_locale(workdir: Path) -> None:
    sha = wheel(workdir)
    code = f"from agent.site import unpack; unpack({str(workdir)!r}, {sha!r}, {NAME!r})"
    package = str(Path(site.__file__).parent.parent)
    env = {"PYTHONPATH": package, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    (workdir.parent.parent / "ascii").symlink_to(workdir.parent)
    code = code.replace(str(workdir), str(workdir.parent.parent / "ascii" / "work"))
    subprocess.run([sys.executable, "-S", "-c", code], env=env, check=True)
    assert (workdir / "site" / sha / "tiny" / "data" / "größe.txt").is_file()
