"""The testbed as pytest fixtures; conftest.py has: `from testbed.fixtures import board, loopback, proxy, sshd`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from testbed.board import Board
from testbed.proxy import Proxy
from testbed.sshd import Sshd


class MakeProxy(Protocol):
    """Makes proxies to a port; they end with the test."""

    def __call__(self, port: int, host: str = "127.0.0.1", delay_ms: float = 0, bytes_per_s: float = 0) -> Proxy: ...


class MakeBoard(Protocol):
    """Makes boards that are up, with the options of `Board`; they end with the test."""

    def __call__(self, **options: Any) -> Board: ...


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A fresh server on loopback, up; change `config`, `environment`, `shell` ... and `restart()`."""
    with Sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture(scope="session")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server on loopback for the whole session, up. Tests must not change it."""
    with Sshd(tmp_path_factory.mktemp("loopback") / "sshd") as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[MakeProxy]:
    """A factory of links that fail on command: `proxy(sshd.port, delay_ms=10)`."""
    with ExitStack() as stack:
        yield lambda port, host="127.0.0.1", delay_ms=0, bytes_per_s=0: stack.enter_context(
            Proxy(port, host, delay_ms, bytes_per_s)
        )


@pytest.fixture
def board(tmp_path: Path) -> Iterator[MakeBoard]:
    """A factory of boards in name spaces of their own: `board(persona="pi-4", disk="64m")`."""
    numbers = itertools.count(1)
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Board(tmp_path / f"board{next(numbers)}", **options))
