"""One SSH connection, made anew when it broke, and the commands that run over it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import paramiko

from edgeprof.errors import EdgeprofError
from edgeprof.progress import Progress
from edgeprof.records import Device
from edgeprof.target.ssh.auth import Memory, log_in
from edgeprof.target.ssh.config import Address, resolve
from edgeprof.target.ssh.errors import linked
from edgeprof.target.ssh.hostkeys import HostKeys, UnknownHostKeyError
from edgeprof.target.ssh.quoting import command_line
from edgeprof.target.ssh.stream import Done, Stream
from edgeprof.target.stop import Stop

KEEPALIVE_S = 15
DEAD_S = 30
"""How long sent data may stay unacknowledged before the kernel calls the connection dead; else TCP takes 15 minutes."""
HANDSHAKE_S = 5.0
"""How much longer than its connection a server may take to say who it is, and for each step that follows."""
OPEN_S = 30.0
"""For a server to open a channel and start a command."""
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Asked for first: encryption and integrity in one pass, two to three times as fast as paramiko's own first choice."""

# What it has to say comes as an exception; without a handler Python would print it between our words.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Link:
    """The way to a device over SSH. Nothing is connected before it is needed."""

    def __init__(self, device: Device, progress: Progress, stop: Stop | None = None) -> None:
        self.device = device
        self._stop = stop or Stop()
        self.address: Address = resolve(device)
        self._progress = progress
        self._hops: list[paramiko.Transport] = []
        self._memory = Memory()

    def connect(self) -> None:
        """Connect and log in, unless that is done and still stands.

        Raises:
            LinkError: it may pass: no route, refused, reset, in time nothing.
            DeviceError: it will not: host key, login, name.
        """
        if self._hops and all(hop.is_active() for hop in self._hops):
            return
        self.close()
        where: Address = self.address
        try:
            for where in (*self.address.jumps, self.address):
                self._hops.append(self._hop(where))
                self._log_in(where)
        except EdgeprofError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise linked(error, self.device.name, where, through=self._before(where)) from error

    def server_key(self) -> tuple[Address, paramiko.PKey, bool]:
        """The host key that a person has to compare: of the first host on the way that is not known, else the device's.

        Returns: whose key, the key, whether it is known. Nobody logs in there.

        Raises:
            LinkError, DeviceError: it cannot be asked, or it is another than the known one.
        """
        self.close()
        where: Address = self.address
        try:
            for where in (*self.address.jumps, self.address):
                self._hops.append(self._hop(where, checked=False))
                key = self._hops[-1].get_remote_server_key()
                try:
                    self._host_keys(where).check(where, key)
                except UnknownHostKeyError:
                    return where, key, False
                if where is not self.address:
                    self._log_in(where)
            return self.address, key, True
        except EdgeprofError:
            raise
        except Exception as error:
            raise linked(error, self.device.name, where, through=self._before(where)) from error
        finally:
            self.close()

    def run(self, command: Sequence[str], timeout_s: float, stdin: bytes = b"") -> Done:
        """Run a command to its end.

        Raises:
            LinkError: the link broke, or it took longer.
        """
        stream = self.open(command)
        try:
            stream.write(stdin)
            stream.end_of_input()
            return stream.finish(timeout_s)
        finally:
            stream.close()

    def open(self, command: Sequence[str]) -> Stream:
        """Start a command; every argument reaches it as it is, whatever the login shell.

        Raises:
            LinkError, DeviceError: see `connect`.
        """
        self.connect()
        try:
            channel = self._hops[-1].open_session(timeout=OPEN_S)
            channel.settimeout(OPEN_S)
            channel.exec_command(command_line(command))
        except Exception as error:
            raise linked(error, self.device.name, self.address) from error
        return Stream(channel, self.device.name, self.address, self._stop)

    def alive(self) -> bool:
        """Whether it is connected, as far as is known."""
        return bool(self._hops) and all(hop.is_active() for hop in self._hops)

    def close(self) -> None:
        """Disconnect. May be called twice; the next command connects again."""
        while self._hops:
            with suppress(Exception):  # whatever state it is in, it is given up
                self._hops.pop().close()

    def _hop(self, address: Address, checked: bool = True) -> paramiko.Transport:
        """A transport to the next host, whose key is known."""
        sock = self._through(address) if self._hops else _tcp(address)
        transport = paramiko.Transport(sock)
        transport.daemon = True
        limit = address.timeout_s + HANDSHAKE_S
        transport.banner_timeout = transport.auth_timeout = limit
        transport.handshake_timeout = 2 * limit + HANDSHAKE_S  # ours comes first: that one looks like a closed line
        options = transport.get_security_options()
        first = [one for one in CIPHERS if one in options.ciphers]
        options.ciphers = (*first, *(one for one in options.ciphers if one not in first))
        keys = self._host_keys(address)
        known = [one for one in keys.preferred_types(address) if one in options.key_types]
        options.key_types = (*known, *(one for one in options.key_types if one not in known))
        try:
            transport.start_client(timeout=limit + 1.0)
            if transport.is_active() and not transport.initial_kex_done:
                raise paramiko.SSHException("Timeout of the handshake")
            if checked:
                keys.check(address, transport.get_remote_server_key())
        except BaseException:
            transport.close()
            raise
        transport.set_keepalive(KEEPALIVE_S)
        return transport

    def _log_in(self, address: Address) -> None:
        jump = address is not self.address
        log_in(self._hops[-1], address, self.device, self._progress, self._memory, jump=jump)

    def _host_keys(self, address: Address) -> HostKeys:
        return HostKeys(address, Path(self.device.known_hosts) if self.device.known_hosts else None)

    def _before(self, address: Address) -> Address | None:
        """The jump host through which it is reached."""
        chain = (*self.address.jumps, self.address)
        place = chain.index(address)
        return chain[place - 1] if place else None

    def _through(self, address: Address) -> paramiko.Channel:
        target = (address.hostname, address.port)
        return self._hops[-1].open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=address.timeout_s)


def _tcp(address: Address) -> socket.socket:
    """A connected socket that sends small packets at once and notices a dead peer."""
    sock = socket.create_connection((address.hostname, address.port), timeout=address.timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEAD_S * 1000))
    except OSError:
        sock.close()
        raise
    return sock
