"""Logging in with keys, passphrases and passwords, as a user of OpenSSH has them, at the real sshd."""

from __future__ import annotations

from pathlib import Path

import pytest
from logins import CLEAN, LoginDesk, ssh_agent
from process_tools import await_value
from testbed.fixtures import MakeBoard
from testbed.reach import make_key
from testbed.sshd import Sshd

from edgeprof.progress import Silent
from edgeprof.suite import Suite
from edgeprof.target.ssh.link import Link

SECRET = "Qx7-only-for-tests-é"


@pytest.fixture
def desk(tmp_path: Path) -> LoginDesk:
    return LoginDesk(tmp_path / "desk")


@pytest.fixture
def locked(sshd: Sshd, tmp_path: Path) -> Path:
    """A key with a passphrase, which the server takes."""
    make_key(tmp_path / "locked", SECRET)
    with sshd.authorized_keys.open("a") as file:
        file.write((tmp_path / "locked.pub").read_text())
    return tmp_path / "locked"


def host(sshd: Sshd, *lines: str) -> str:
    """A Host block for the user's ~/.ssh/config."""
    said = ["Host pi", "HostName 127.0.0.1", f"Port {sshd.port}", f"User {sshd.user}", *lines]
    return "\n ".join([*said, f"UserKnownHostsFile {sshd.known_hosts}"]) + "\n"


def strangers(folder: Path, count: int) -> list[Path]:
    """Keys that no server takes."""
    for number in range(count):
        make_key(folder / f"stranger{number}")
    return [folder / f"stranger{number}" for number in range(count)]


# --- keys


def test_a_host_and_its_key_come_from_the_users_ssh_config(loopback: Sshd, desk: LoginDesk) -> None:
    desk.config(host(loopback, "IdentityFile /no/such", f"IdentityFile {loopback.key_file}"))
    desk.edgeprof(*CLEAN)


def test_a_wrong_key_is_told_with_user_host_methods_and_keys(loopback: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    one, other = strangers(tmp_path, 2)
    desk.config(host(loopback, f"IdentityFile {one}", f"IdentityFile {other}", "IdentityFile /no/such"))
    told = desk.refused(
        f"board, {loopback.user}@127.0.0.1:{loopback.port}: {loopback.user} may not log in at pi",
        "keys tried: stranger0, stranger1; missing: /no/such; the server takes publickey",
        f"hint: ssh-copy-id -p {loopback.port} {loopback.user}@pi",
    )
    assert len(told.splitlines()) == 2


@pytest.mark.slow
def test_a_key_file_that_is_none_is_told(loopback: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    """Where the device file names it, it is used or told, never passed over."""
    (tmp_path / "text").write_text("this is not a key\n")
    (tmp_path / "text").chmod(0o600)
    desk.add(loopback, key_file=str(tmp_path / "text"))
    desk.refused("text: this is no private key")
    desk.add(loopback, known=False, key_file="/no/such")
    desk.refused("may not log in", "missing: /no/such")


def test_the_agents_keys_serve_and_a_public_key_says_which(sshd: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    """Also where more are held than a server lets be tried."""
    public = tmp_path / "only.pub"
    public.write_text(sshd.key_file.with_suffix(".pub").read_text())
    with ssh_agent(tmp_path, *strangers(tmp_path, 8), sshd.key_file) as socket:
        desk.variables["SSH_AUTH_SOCK"] = str(socket)
        desk.config(host(sshd))
        desk.refused("hung up during the login", "6 of the ssh-agent's", "IdentitiesOnly yes")
        for lines in ([f"IdentityFile {public}"], [f"IdentityFile {sshd.key_file}", "IdentitiesOnly yes"]):
            desk.config(host(sshd, *lines))
            desk.edgeprof(*CLEAN)
        desk.config(host(sshd, "IdentityAgent none"))
        desk.refused("there was no key to try; the server takes publickey")
        desk.variables.clear()
        desk.config(host(sshd, f"IdentityAgent {socket}", "IdentitiesOnly yes", f"IdentityFile {public}"))
        desk.edgeprof(*CLEAN)


@pytest.mark.slow
def test_an_agent_that_is_gone_is_no_matter(loopback: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    desk.variables["SSH_AUTH_SOCK"] = str(tmp_path / "gone")
    desk.add(loopback)
    desk.edgeprof(*CLEAN)


@pytest.mark.slow
def test_too_many_keys_in_files_are_told_with_what_to_write(sshd: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    desk.config(host(sshd, *(f"IdentityFile {key}" for key in strangers(tmp_path, 7))))
    desk.refused("perhaps after too many keys: stranger0, ", "in ~/.ssh/config: Host pi, IdentityFile ~/.ssh/KEY")


# --- passphrases


def test_a_passphrase_comes_from_the_variable_that_the_device_file_names(
    sshd: Sshd, desk: LoginDesk, locked: Path
) -> None:
    desk.add(sshd, key_file=str(locked))
    desk.refused("locked: this key has a passphrase", 'name a variable in devices/board.toml: password_env = "NAME"')
    desk.add(sshd, known=False, key_file=str(locked), password_env="BOARD_SECRET")
    desk.refused("this key has a passphrase", "set the variable BOARD_SECRET")
    desk.variables["BOARD_SECRET"] = SECRET + "x"
    assert SECRET not in desk.refused("the passphrase does not open this key")
    desk.variables["BOARD_SECRET"] = SECRET
    done = desk.edgeprof(*CLEAN)
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_locked_key_of_the_ssh_config_is_told_where_no_other_serves(
    sshd: Sshd, desk: LoginDesk, locked: Path
) -> None:
    desk.config(host(sshd, f"IdentityFile {locked}"))
    desk.refused("not tried, for want of a passphrase: locked", f"ssh-add '{locked}'", "password_env")
    desk.config(host(sshd, f"IdentityFile {locked}", f"IdentityFile {sshd.key_file}"))
    desk.edgeprof(*CLEAN)


def test_a_passphrase_is_typed_unseen_at_a_terminal(sshd: Sshd, desk: LoginDesk, locked: Path) -> None:
    desk.add(sshd, key_file=str(locked))
    with desk.terminal(*CLEAN) as terminal:
        for typed in ("nonsense", SECRET):
            terminal.read_until(f"passphrase of {locked}: ")
            terminal.type_unseen(typed)
        assert terminal.end() == 0
        assert SECRET not in terminal.said
        assert "nonsense" not in terminal.said


@pytest.mark.parametrize("key", ["c", *(pytest.param(one, marks=pytest.mark.slow) for one in ("", "d"))])
def test_whoever_does_not_know_the_passphrase_gets_away(sshd: Sshd, desk: LoginDesk, locked: Path, key: str) -> None:
    """An empty line, the end of input, Ctrl-C."""
    desk.add(sshd, key_file=str(locked))
    with desk.terminal(*CLEAN) as terminal:
        terminal.read_until("passphrase of ")
        terminal.press(key) if key else terminal.type_unseen("")
        assert terminal.end() == (130 if key == "c" else 5)
        assert ("interrupted" if key == "c" else "this key has a passphrase") in terminal.said
        assert "Traceback" not in terminal.said


class Person(Silent):
    """Types the passphrase whenever asked, and counts."""

    asked = 0

    def secret(self, prompt: str) -> str | None:
        self.asked += 1
        return SECRET


def test_what_was_typed_once_serves_when_the_link_is_made_anew(
    sshd: Sshd, desk: LoginDesk, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may be there to type it again when the link drops at night."""
    monkeypatch.setenv("HOME", str(desk.home))
    desk.add(sshd, key_file=str(locked))
    person = Person()
    link = Link(Suite(desk.root).device("board"), person)
    for _ in range(3):
        assert link.run(["/bin/echo", "on"], 20).stdout == b"on\n"
        sshd.kill_sessions()
        await_value(lambda: True if not link.alive() else None)
    link.close()
    assert person.asked == 1


# --- passwords


@pytest.fixture
def password_desk(desk: LoginDesk, board: MakeBoard) -> LoginDesk:
    """A desk with a board where `edge` has a password and no key."""
    edge = board(user="edge", password=SECRET)
    desk.add(edge, key_file=None, password_env="BOARD_SECRET")
    return desk


def test_a_password_comes_from_the_variable_that_the_device_file_names(password_desk: LoginDesk) -> None:
    desk = password_desk
    desk.refused("edge may not log in at", "the server takes publickey, password", "set the variable BOARD_SECRET")
    desk.variables["BOARD_SECRET"] = SECRET + "x"
    told = desk.refused("the password was not accepted", "is what BOARD_SECRET holds the password?")
    assert SECRET not in told
    desk.variables["BOARD_SECRET"] = SECRET
    done = desk.edgeprof(*CLEAN)
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_password_is_typed_unseen_at_a_terminal_three_times_at_most(password_desk: LoginDesk) -> None:
    desk = password_desk
    for typed, code in ((["nonsense", SECRET], 0), (["nonsense"] * 3, 5)):
        with desk.terminal(*CLEAN) as terminal:
            for line in typed:
                terminal.read_until("password of edge@")
                terminal.type_unseen(line)
            assert terminal.end() == code
            assert SECRET not in terminal.said
            assert "nonsense" not in terminal.said


@pytest.mark.slow
def test_a_server_that_wants_a_key_and_a_password_gets_both(desk: LoginDesk, board: MakeBoard) -> None:
    edge = board(user="edge", password=SECRET, config=["AuthenticationMethods publickey,password"])
    desk.add(edge, password_env="BOARD_SECRET")
    desk.refused("keys tried: id; the server asks for more: password", "set the variable BOARD_SECRET")
    desk.variables["BOARD_SECRET"] = SECRET
    desk.edgeprof(*CLEAN)


@pytest.mark.slow
def test_a_user_that_is_not_there_is_told(desk: LoginDesk, loopback: Sshd) -> None:
    """Another user than the key's: the commonest mistake."""
    desk.add(loopback, user="nobody-of-this-name")
    desk.refused("nobody-of-this-name may not log in at 127.0.0.1", "keys tried: id", "another user")
