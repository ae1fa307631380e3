"""What goes wrong on the way to a board: each error says what, where and what to do, and whether it may pass."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
from paramiko.ssh_exception import IncompatiblePeer, MessageOrderError, NoValidConnectionsError, PartialAuthentication

from edgeprof.errors import DeviceError, LinkError
from edgeprof.target.ssh.config import Address
from edgeprof.target.ssh.errors import Tried, linked, printable

PI = Address(
    device="pi",
    alias="board",
    hostname="board.example.org",
    port=2222,
    user="k",
    key_files=(),
    identities_only=False,
    agent_socket=None,
    known_hosts=(),
    revoked_keys=None,
    host_key_alias=None,
    timeout_s=5,
)
GATE = replace(PI, alias="gate", hostname="gate.example.org", port=22)

PASSES = [
    (TimeoutError(), "nothing answered in time", "ping board.example.org"),
    (OSError(errno.ETIMEDOUT, "x"), "nothing answered in time", "ping"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "port 2222 is closed", "systemctl enable --now ssh"),
    (NoValidConnectionsError({("::1", 2222): OSError(errno.ECONNREFUSED, "x")}), "port 2222 is closed", "port = N"),
    (ConnectionResetError(errno.ECONNRESET, "x"), "the connection broke", ""),
    (BrokenPipeError(errno.EPIPE, "x"), "the connection broke", ""),
    (OSError("Socket is closed"), "the connection broke", ""),
    (OSError(errno.EHOSTUNREACH, "x"), "no way to board.example.org: No route to host", "ping"),
    (OSError(errno.ENETUNREACH, "x"), "no way to board.example.org: Network is unreachable", "ping"),
    (OSError(errno.EIO, "x"), "the connection failed: Input/output error", ""),
    (socket.gaierror(socket.EAI_AGAIN, "x"), "the name server does not answer for board.example.org", ""),
    (EOFError(), "the server closed the connection", ""),
    (paramiko.SSHException("Error reading SSH protocol banner"), "port 2222 is open, but no SSH server", ""),
    (paramiko.SSHException("Timeout opening channel."), "did not answer in time", ""),
    (paramiko.SSHException("SSH session not active"), "the connection is closed", ""),
    (paramiko.SSHException("Mismatched MAC"), "SSH failed: Mismatched MAC", ""),
    (paramiko.SSHException(), "SSH failed: SSHException", ""),
    (paramiko.AuthenticationException("Authentication timeout."), "did not answer to the login in time", ""),
    (
        paramiko.AuthenticationException("Authentication failed: transport shut down or saw EOF"),
        "hung up during the login",
        "",
    ),
    (paramiko.ChannelException(4, "Resource shortage"), "did not open a channel: Resource shortage", ""),
]
STAYS = [
    (socket.gaierror(socket.EAI_NONAME, "x"), "there is no host named board.example.org", "devices/pi.toml"),
    (UnicodeEncodeError("idna", "x", 0, 1, "label too long"), "is no host name", "devices/pi.toml"),
    (OSError(errno.EACCES, "x"), "this machine does not let us connect", "firewall"),
    (OSError(errno.EMFILE, "x"), "no connection left", "ulimit -n"),
    (IncompatiblePeer("Incompatible ssh peer (no acceptable kex algorithm)"), "no acceptable kex", "update OpenSSH"),
    (MessageOrderError("strict-kex"), "breaks the rules of SSH", ""),
    (paramiko.SSHException('Indecipherable protocol version "HTTP"'), "does not speak SSH", "port = N"),
    (paramiko.ChannelException(1, "Administratively prohibited"), "lets this user run no commands", "ForceCommand"),
    (paramiko.AuthenticationException("Authentication failed."), "k may not log in at board", "ssh-copy-id -p 2222"),
    (
        paramiko.BadAuthenticationType("Bad authentication type", ["password", "keyboard-interactive"]),
        "the server takes password, keyboard-interactive",
        "password_env",
    ),
    (paramiko.BadAuthenticationType("x", ["publickey"]), "there was no key to try", "ssh-copy-id"),
    (PartialAuthentication(["keyboard-interactive"]), "asks for more: keyboard-interactive", "password_env"),
    (paramiko.PasswordRequiredException("x"), "a private key has a passphrase", "ssh-add KEY"),
    (ZeroDivisionError("what"), "ZeroDivisionError: what", ""),
]


@pytest.mark.parametrize(("error", "what", "hint"), PASSES, ids=lambda one: repr(one)[:60])
def test_what_may_pass_is_a_link_error(error: Exception, what: str, hint: str) -> None:
    told = linked(error, "pi", PI)
    assert isinstance(told, LinkError)
    assert told.transient
    assert what in told.what
    assert hint in (told.hint or "")
    assert told.where == "pi, k@board.example.org:2222"


@pytest.mark.parametrize(("error", "what", "hint"), STAYS, ids=lambda one: repr(one)[:60])
def test_what_cannot_pass_is_not(error: Exception, what: str, hint: str) -> None:
    told = linked(error, "pi", PI)
    assert not isinstance(told, LinkError)
    assert not told.transient
    assert told.exit_code == 5
    assert what in told.what
    assert hint in (told.hint or "")


def test_an_error_of_ours_stays_as_it_is() -> None:
    ours = DeviceError("x")
    assert linked(ours, "pi", PI) is ours


def test_a_board_that_is_starting_does_not_answer_to_its_local_name() -> None:
    told = linked(socket.gaierror(socket.EAI_NONAME, "x"), "pi", replace(PI, hostname="pi.local"))
    assert told.transient


def test_a_jump_host_that_lets_nothing_through_is_named() -> None:
    told = linked(paramiko.ChannelException(1, "x"), "pi", PI, through=GATE)
    assert "the jump host gate lets no connection through" in told.what
    assert "AllowTcpForwarding yes" in (told.hint or "")
    assert not told.transient
    told = linked(paramiko.ChannelException(2, "x"), "pi", PI, through=GATE)
    assert "gate cannot reach board.example.org port 2222" in told.what
    assert told.transient


def test_a_failed_login_names_the_keys_that_were_there_and_those_that_were_not(tmp_path: Path) -> None:
    (tmp_path / "id_lab").write_text("x")
    address = replace(PI, key_files=(tmp_path / "id_lab", tmp_path / "id_gone"))
    refusal = paramiko.AuthenticationException("Authentication failed.")
    assert f"keys tried: id_lab; missing: {tmp_path / 'id_gone'}" in linked(refusal, "pi", address).what
    told = linked(refusal, "pi", address, tried=Tried((tmp_path / "id_lab",), agents=2))
    assert f"keys tried: id_lab, 2 of the ssh-agent's; missing: {tmp_path / 'id_gone'}" in told.what


def test_a_server_that_hangs_up_after_many_keys_is_not_tried_again(tmp_path: Path) -> None:
    files = tuple(tmp_path / f"key{n}" for n in range(6))
    for file in files:
        file.write_text("x")
    error = paramiko.AuthenticationException("Authentication failed: transport shut down or saw EOF")
    told = linked(error, "pi", replace(PI, key_files=files))
    assert not told.transient
    assert "IdentitiesOnly yes" in (told.hint or "")


HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\nroot# \u202e\u2028\x00\x9b"


def test_texts_from_a_server_cannot_steer_a_terminal() -> None:
    errors = [
        paramiko.SSHException(HOSTILE),
        paramiko.SSHException(f'Indecipherable protocol version "{HOSTILE}"'),
        paramiko.BadAuthenticationType(HOSTILE, [HOSTILE]),
        paramiko.ChannelException(4, HOSTILE),
        IncompatiblePeer(HOSTILE),
        MessageOrderError(HOSTILE),
    ]
    for error in errors:
        for through in (None, GATE):
            assert linked(error, "pi", PI, through=through).what.isprintable()
    assert printable(b"\xff\x1b") == "\\xff\\x1b"
    assert printable("é \U0001f353") == "é \U0001f353"
    assert len(printable("\x00" * 10_000)) == 300


# --- the exceptions that paramiko really raises


class Server(paramiko.ServerInterface):
    """Lets in by password only, and opens nothing."""

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL if password == "right" else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


@contextmanager
def answering(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port whose first connection is handed to a function."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with listener.accept()[0] as connection:
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)


def met(port: int, use: Callable[[paramiko.Transport], object], banner_s: float = 10.0) -> DeviceError:
    """What the user is told of a connection to a port."""
    try:
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port), 10))
        transport.banner_timeout = banner_s
        try:
            transport.start_client(timeout=10)
            use(transport)
        finally:
            transport.close()
    except Exception as error:
        return linked(error, "pi", replace(PI, port=port))
    raise AssertionError("nothing went wrong")


def ssh_server(done: threading.Event, **options: object) -> Callable[[socket.socket], object]:
    def serve(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection, **options)  # type: ignore[arg-type]
        transport.add_server_key(paramiko.RSAKey.generate(2048))
        try:
            transport.start_server(server=Server())
            done.wait(30)
        except paramiko.SSHException:
            done.wait(30)
        finally:
            transport.close()

    return serve


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert f"port {port} is closed" in met(port, lambda _: None).what


def test_a_port_that_says_nothing_or_hangs_up_has_no_ssh_server() -> None:
    heard = threading.Event()
    with answering(lambda _: heard.wait(30)) as port:
        told = met(port, lambda _: None, banner_s=0.2)
        heard.set()
    assert "no SSH server answered" in told.what
    assert told.transient
    with answering(lambda connection: connection.sendall(b"Exceeded MaxStartups\r\n")) as port:
        told = met(port, lambda _: None)
    assert told.transient


def test_a_port_that_speaks_something_else_is_told_printably() -> None:
    with answering(lambda connection: connection.sendall(b"\x1b[2JHTTP/1.1 400\r\n" * 200)) as port:
        told = met(port, lambda _: None)
    assert "does not speak SSH" in told.what
    assert "\\x1b[2JHTTP" in told.what
    assert not told.transient


@pytest.fixture
def done() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_real_refusals_of_a_login(done: threading.Event) -> None:
    key = paramiko.RSAKey.generate(2048)
    with answering(ssh_server(done)) as port:
        told = met(port, lambda one: one.auth_publickey("k", key))
        done.set()
    assert "the server takes password" in told.what
    assert "password_env" in (told.hint or "")
    done.clear()
    with answering(ssh_server(done)) as port:
        told = met(port, lambda one: one.auth_password("k", "secret-word"))
        done.set()
    assert "k may not log in" in told.what
    assert "secret-word" not in f"{told} {told.hint}"


def test_a_real_refusal_to_forward_and_to_run(done: threading.Event) -> None:
    with answering(ssh_server(done)) as port:

        def use(transport: paramiko.Transport) -> None:
            transport.auth_password("k", "right")
            with pytest.raises(paramiko.ChannelException) as caught:
                transport.open_channel("direct-tcpip", ("x", 22), ("127.0.0.1", 0), timeout=10)
            assert "lets no connection through" in linked(caught.value, "pi", PI, through=GATE).what
            transport.open_session(timeout=10)

        told = met(port, use)
        done.set()
    assert "run no commands" in told.what


def test_a_real_lack_of_a_common_algorithm(done: threading.Event) -> None:
    ours = {"ciphers": [name for name in paramiko.Transport._preferred_ciphers if "gcm" in name]}  # type: ignore[attr-defined]
    with answering(ssh_server(done, disabled_algorithms=ours)) as port:

        def connect() -> None:
            transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port), 10))
            transport.get_security_options().ciphers = ours["ciphers"]
            try:
                transport.start_client(timeout=10)
            finally:
                transport.close()

        with pytest.raises(IncompatiblePeer) as caught:
            connect()
        done.set()
    told = linked(caught.value, "pi", PI)
    assert "no algorithm in common" in told.what
    assert not told.transient
