"""The faulty link fails as it says, and otherwise changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_tools import alive, await_value
from testbed.proxy import Proxy
from testbed.sshd import Sshd

DATA = os.urandom(3 << 20)


class Echo:
    """A server that sends back what it gets, and the end after it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.received = bytearray()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[link], daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self, link: socket.socket) -> None:
        with link:
            try:
                while data := link.recv(1 << 16):
                    self.received += data
                    link.sendall(data)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as proxy:
        yield proxy


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=10)


def read_all(link: socket.socket) -> bytes:
    return b"".join(iter(lambda: link.recv(1 << 16), b""))


def send_all(link: socket.socket, data: bytes) -> None:
    """From a thread, so that it may end in the fault that a test makes."""

    def send() -> None:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
        except OSError:
            return

    threading.Thread(target=send, daemon=True).start()


@pytest.mark.parametrize(("delay_ms", "bytes_per_s"), [(0, 0), (5, 0), (2, 30e6)])
def test_all_bytes_come_in_order_both_ways_and_so_does_the_end(echo: Echo, delay_ms: float, bytes_per_s: float) -> None:
    with Proxy(echo.port, delay_ms=delay_ms, bytes_per_s=bytes_per_s) as proxy:
        with connect(proxy) as link:
            send_all(link, DATA)
            assert hashlib.sha256(read_all(link)).digest() == hashlib.sha256(DATA).digest()
            await_value(lambda: True if proxy.counts().open == 0 else None)
        assert proxy.counts() == (len(DATA), len(DATA), 1, 0)


def test_a_delay_is_a_time_and_no_rate(echo: Echo) -> None:
    """Lower bounds only: 2 x 30 ms for one byte, and not a delay for each of many writes."""
    with Proxy(echo.port, delay_ms=30) as proxy, connect(proxy) as link:
        start = time.monotonic()
        link.sendall(b"x")
        assert link.recv(1) == b"x"
        assert time.monotonic() - start >= 0.06
        for _ in range(500):
            link.sendall(b"y")
        link.shutdown(socket.SHUT_WR)
        assert read_all(link) == b"y" * 500
        assert time.monotonic() - start < 500 * 0.03


def test_a_limited_link_takes_its_time(echo: Echo) -> None:
    with Proxy(echo.port, bytes_per_s=1e6) as proxy, connect(proxy) as link:
        start = time.monotonic()
        send_all(link, DATA[:400_000])
        assert read_all(link) == DATA[:400_000]
        assert time.monotonic() - start >= 0.39


def test_what_stalls_comes_after_resume(proxy: Proxy) -> None:
    with connect(proxy) as link:
        link.sendall(b"before")
        assert link.recv(100) == b"before"
        proxy.stall()
        link.sendall(b"after")
        with connect(proxy) as second:
            second.sendall(b"new")
            link.settimeout(0.2)
            with pytest.raises(TimeoutError):
                link.recv(100)
            proxy.resume()
            link.settimeout(10)
            assert link.recv(100) == b"after"
            assert second.recv(100) == b"new"


def test_a_reset_reaches_both_ends_and_new_connections_work(proxy: Proxy) -> None:
    with connect(proxy) as link:
        link.sendall(b"x")
        assert link.recv(1) == b"x"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    with connect(proxy) as link:
        link.sendall(b"x")
        assert link.recv(1) == b"x"


def test_refused_is_refused_until_allowed_again(proxy: Proxy) -> None:
    with connect(proxy) as link:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        link.sendall(b"x")
        assert link.recv(1) == b"x"
    proxy.allow()
    connect(proxy).close()


def test_a_cut_lets_exactly_so_many_bytes_through(echo: Echo, proxy: Proxy) -> None:
    proxy.cut_after(1_234_567, "up")
    with connect(proxy) as link:
        send_all(link, DATA)
        with pytest.raises(ConnectionResetError):
            read_all(link)
    assert proxy.counts().up == 1_234_567
    assert bytes(echo.received) == DATA[: len(echo.received)]


def test_a_silent_cut_stalls(proxy: Proxy) -> None:
    proxy.cut_after(1000, "down", how="stall")
    with connect(proxy) as link:
        send_all(link, DATA)
        got = b""
        while len(got) < 1000:
            got += link.recv(1 << 16)
        assert got == DATA[:1000]
        link.settimeout(0.2)
        with pytest.raises(TimeoutError):
            link.recv(1)


def test_a_server_that_is_not_there_resets(echo: Echo) -> None:
    port = echo.port
    echo.close()
    with Proxy(port) as proxy, pytest.raises(ConnectionResetError), connect(proxy) as link:
        link.recv(1)


def test_ssh_works_through_it(tmp_path: Path) -> None:
    with Sshd(tmp_path / "board") as server, Proxy(server.port, delay_ms=2) as proxy:
        server.also_at(proxy.port)
        assert server.ssh("echo through", port=proxy.port).stdout == "through\n"
        assert proxy.counts().taken == 1
        assert f"port = {proxy.port}\n" in server.device_toml(port=proxy.port)


def test_its_process_ends_with_it(echo: Echo) -> None:
    with Proxy(echo.port) as proxy:
        pid = proxy.pid
        assert alive(pid)
    assert not alive(pid)
