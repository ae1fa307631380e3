"""Wheels for a device, fetched by the real pip: from an index of our own, and (slow) from the real one."""

from __future__ import annotations

import io
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ready_models

from edgeprof.agent import runtimes
from edgeprof.agent.site import unpack
from edgeprof.errors import DeviceError, UsageError
from edgeprof.progress import Silent
from edgeprof.store import Store
from edgeprof.target import wheels as module
from edgeprof.target.build import agent_bytes
from edgeprof.target.wheels import NoWheel, Wanted, wheels

PI = Wanted("aarch64", "3.11", "2.36")


class Notes(Silent):
    """What was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


class Index:
    """A package index on loopback: wheels by file name, each with what it requires."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.status = 0
        self.answering = threading.Event()
        self.answering.set()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                index.answering.wait(60)
                data = index.answer(self.path)
                self.send_response(index.status or (404 if data is None else 200))
                body = data or b""
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
                self.send_header("Content-Length", str(len(body)))
                with suppress(BrokenPipeError):
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def answer(self, path: str) -> bytes | None:
        if path.startswith("/files/"):
            return self.files.get(path.removeprefix("/files/"))
        package = path.removeprefix("/simple/").strip("/")
        names = [name for name in self.files if name.split("-")[0].replace("_", "-").lower() == package]
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        return f"<html><body>{links}</body></html>".encode() if names else None

    def add(self, name: str, *requires: str) -> None:
        package, version = name.split("-")[:2]
        lines = ["Metadata-Version: 2.1", f"Name: {package.replace('_', '-')}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr(f"{package}/__init__.py", name)
            archive.writestr(f"{package}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
            archive.writestr(f"{package}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
            archive.writestr(f"{package}-{version}.dist-info/RECORD", "")
        self.files[name] = data.getvalue()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    made = Index()
    for name in list(os.environ):
        if name.upper().startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "a store – 試")
    yield made
    made.close()


def names(found: object) -> list[str]:
    assert isinstance(found, list), found
    return [wheel.name for wheel in found]


def test_the_newest_that_fits_and_its_numpy(index: Index, store: Store) -> None:
    """By Python, glibc and architecture of the device, not of this host; nothing else of what it names."""
    index.add("onnxruntime-1.1-cp311-cp311-manylinux_2_28_aarch64.whl", "numpy<2.3,>=1.21", "protobuf", "sympy")
    index.add("onnxruntime-1.2-cp311-cp311-manylinux_2_39_aarch64.whl")
    index.add("onnxruntime-1.2-cp311-cp311-manylinux_2_28_x86_64.whl")
    index.add("onnxruntime-1.2-cp312-cp312-manylinux_2_28_aarch64.whl")
    index.add("numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl")
    index.add("numpy-2.3-cp311-cp311-manylinux_2_28_aarch64.whl")
    notes = Notes()
    found = wheels(store, "onnx", PI, notes)
    assert names(found) == [
        "onnxruntime-1.1-cp311-cp311-manylinux_2_28_aarch64.whl",
        "numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl",
    ]
    assert isinstance(found, list)
    assert [store.blob(wheel.sha).read_bytes() for wheel in found] == [index.files[name] for name in names(found)]
    assert notes.told == ["provision: fetching onnxruntime for aarch64, Python 3.11"]
    assert list(store.scratch.iterdir()) == []


def test_the_answer_is_remembered(index: Index, store: Store) -> None:
    index.add("openvino-1.1-cp311-cp311-manylinux_2_28_aarch64.whl")
    index.add("numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl")
    found = wheels(store, "openvino", PI, Silent())
    index.asked.clear()
    notes = Notes()
    assert wheels(store, "openvino", PI, notes) == found
    assert index.asked == []
    assert notes.told == []
    assert isinstance(found, list)
    store.blob(found[1].sha).unlink()
    assert wheels(store, "openvino", PI, notes) == found
    assert store.has_blob(found[1].sha)


def test_the_older_runtime_where_only_that_exists(index: Index, store: Store) -> None:
    """And it gets the numpy that it was built for."""
    index.add("ai_edge_litert-2.3-cp311-cp311-manylinux_2_39_aarch64.whl")
    index.add("tflite_runtime-2.14-cp311-cp311-manylinux2014_aarch64.whl", "numpy >=1.23.2")
    index.add("numpy-1.26-cp311-cp311-manylinux2014_aarch64.whl")
    index.add("numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl")
    assert names(wheels(store, "tflite", PI, Silent())) == [
        "tflite_runtime-2.14-cp311-cp311-manylinux2014_aarch64.whl",
        "numpy-1.26-cp311-cp311-manylinux2014_aarch64.whl",
    ]
    index.add("ai_edge_litert-2.2-cp311-cp311-manylinux_2_36_aarch64.whl", "numpy")
    other = Wanted("aarch64", "3.11", "2.37")
    assert names(wheels(store, "tflite", other, Silent())) == [
        "ai_edge_litert-2.2-cp311-cp311-manylinux_2_36_aarch64.whl",
        "numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl",
    ]


def test_where_numpy_has_no_wheels_it_is_the_devices_own(index: Index, store: Store) -> None:
    index.add("tflite_runtime-2.14-cp311-cp311-manylinux_2_34_armv7l.whl", "numpy >=1.23.2")
    found = wheels(store, "tflite", Wanted("armv7l", "3.11", "2.36"), Silent())
    assert names(found) == ["tflite_runtime-2.14-cp311-cp311-manylinux_2_34_armv7l.whl"]
    assert not any("numpy" in path for path in index.asked)


def test_no_wheel_names_package_python_and_architecture(
    index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is believed for a day, then asked again. A source archive is no wheel."""
    index.files["openvino-1.1.tar.gz"] = b""
    found = wheels(store, "openvino", PI, Silent())
    assert isinstance(found, NoWheel)
    assert found.why == "there is no wheel of openvino for aarch64, Python 3.11, glibc 2.36"
    index.asked.clear()
    assert wheels(store, "openvino", PI, Silent()) == found
    assert index.asked == []
    index.add("openvino-1.1-cp311-cp311-manylinux_2_28_aarch64.whl")
    index.add("numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl")
    monkeypatch.setattr(module, "MISSING_KEPT_S", 0.0)
    assert len(names(wheels(store, "openvino", PI, Silent()))) == 2


def test_no_numpy_is_no_wheel(index: Index, store: Store) -> None:
    index.add("onnxruntime-1.1-cp311-cp311-manylinux_2_28_aarch64.whl", "numpy<2")
    found = wheels(store, "onnx", PI, Silent())
    assert isinstance(found, NoWheel)
    assert "numpy<2 (for onnxruntime)" in found.why


@pytest.mark.parametrize("glibc", ["", "1.2", "2", "2.x", "musl"])
def test_a_device_without_glibc_is_not_asked_for(index: Index, store: Store, glibc: str) -> None:
    found = wheels(store, "tflite", Wanted("aarch64", "3.11", glibc), Silent())
    assert isinstance(found, NoWheel)
    assert index.asked == []


def test_nothing_of_the_device_becomes_an_option_of_pip(index: Index, store: Store) -> None:
    found = wheels(store, "onnx", Wanted("x --index-url=evil", "3.11", "2.36"), Silent())
    assert isinstance(found, NoWheel)
    assert index.asked == []
    with pytest.raises(DeviceError):
        wheels(store, "onnx", Wanted("aarch64", "--index-url=evil", "2.36"), Silent())
    assert index.asked == []


@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_index_that_fails_is_not_taken_for_no_wheel(index: Index, store: Store, status: int) -> None:
    """Nor is that remembered; and no address of this host gets into what is kept of it."""
    index.status = status
    with pytest.raises(DeviceError, match="cannot be fetched") as told:
        wheels(store, "onnx", PI, Silent())
    assert "127.0.0.1" not in str(told.value)
    assert str(store.root) not in str(told.value)
    index.status = 0
    assert isinstance(wheels(store, "onnx", PI, Silent()), NoWheel)


def test_without_a_network_it_is_told(index: Index, store: Store) -> None:
    index.server.shutdown()
    index.server.server_close()
    with pytest.raises(DeviceError, match=r"Connection refused") as told:
        wheels(store, "onnx", PI, Silent())
    assert told.value.hint is not None
    assert "http" not in str(told.value)


def test_a_pip_that_does_not_end_is_ended(index: Index, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_S", 1.0)
    index.answering.clear()
    with pytest.raises(DeviceError, match="not finished within"):
        wheels(store, "onnx", PI, Silent())
    index.answering.set()
    assert list(store.scratch.iterdir()) == []


def test_without_pip_it_is_told(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(DeviceError, match="has no pip") as told:
        wheels(store, "onnx", PI, Silent())
    assert "ensurepip" in str(told.value.hint)


def test_a_users_settings_for_this_host_do_not_count(
    index: Index, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "constraints.txt").write_text("onnxruntime==1.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    monkeypatch.setenv("PIP_QUIET", "3")
    index.add("onnxruntime-1.1-cp311-cp311-manylinux_2_28_aarch64.whl")
    index.add("numpy-2.2-cp311-cp311-manylinux2014_aarch64.whl")
    assert len(names(wheels(store, "onnx", PI, Silent()))) == 2


def test_a_format_without_a_runtime_is_a_mistake(store: Store) -> None:
    with pytest.raises(UsageError):
        wheels(store, "noop", PI, Silent())


RUN = """\
import sys
sys.path.append(sys.argv[1])
import numpy as np
from edgeprof_agent.runtimes import installed, open_model
files = dict(one.split("=", 1) for one in sys.argv[3:])
model = open_model(sys.argv[2], files, 1, "fp32")
print(list(installed()), model.run([np.ones((1, 4), np.float32)])[0].shape)
"""


@pytest.mark.slow
@pytest.mark.parametrize("format", sorted(module.RUNTIMES))
def test_the_real_wheels_are_enough_to_run_a_file(format: str, store: Store, tmp_path: Path) -> None:
    """For a device like this host, with nothing but their folders to import from."""
    here = Wanted(platform.machine(), f"3.{sys.version_info[1]}", platform.libc_ver()[1])
    found = wheels(store, format, here, Silent())
    assert isinstance(found, list)
    folders = []
    for wheel in found:
        (tmp_path / "w" / "blobs").mkdir(parents=True, exist_ok=True)
        (tmp_path / "w" / "blobs" / wheel.sha).write_bytes(store.blob(wheel.sha).read_bytes())
        folders.append(unpack(str(tmp_path / "w"), wheel.sha, wheel.name))
    (tmp_path / "agent.zip").write_bytes(agent_bytes())
    make = {
        "onnx": lambda: [ready_models.onnx_file(tmp_path / "m.onnx")],
        "openvino": lambda: [ready_models.openvino_file(tmp_path / "m.xml"), tmp_path / "m.bin"],
        "tflite": lambda: [ready_models.tflite_file(tmp_path / "m.tflite")],
    }
    files = [f"{path.name}={path}" for path in make[format]()]
    ran = subprocess.run(
        [sys.executable, "-S", "-s", "-c", RUN, str(tmp_path / "agent.zip"), format, *files],
        env={"PYTHONPATH": os.pathsep.join(folders), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"['{module.RUNTIMES[format][0].package}']")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "counts"),
    [
        (Wanted("aarch64", "3.9", "2.31"), (2, 2, 2)),
        (Wanted("aarch64", "3.11", "2.36"), (2, 2, 2)),
        (Wanted("aarch64", "3.13", "2.41"), (2, 2, 2)),
        (Wanted("armv7l", "3.11", "2.36"), (0, 0, 1)),
        (Wanted("armv7l", "3.13", "2.41"), (0, 0, 0)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, Wanted) else "",
)
def test_what_the_real_index_has_for_boards(wanted: Wanted, counts: tuple[int, ...], store: Store) -> None:
    """Raspberry Pi OS of three generations, 64 and 32 bit."""
    found = [wheels(store, format, wanted, Silent()) for format in ("onnx", "openvino", "tflite")]
    assert tuple(0 if isinstance(one, NoWheel) else len(one) for one in found) == counts


def test_the_formats_are_those_of_the_agent() -> None:
    for format, names_of in runtimes.RUNTIMES.items():
        packages = tuple(runtimes.PACKAGES[name][0] for name in names_of)
        assert packages == tuple(one.package for one in module.RUNTIMES.get(format, ()))
