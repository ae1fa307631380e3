"""Host keys: real keys and known_hosts files made by ssh-keygen; what is known passes, nothing else does."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from edgeprof.errors import DeviceError
from edgeprof.target.ssh.config import Address
from edgeprof.target.ssh.hostkeys import HostKeys, fingerprint, remember

KINDS = {"ed25519": [], "rsa": ["-b", "2048"], "ecdsa": ["-b", "256"], "ecdsa384": ["-b", "384"]}


def keygen(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["ssh-keygen", *map(str, arguments)], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout


class Key:
    """A host key as files and as what a server presents."""

    def __init__(self, path: Path, kind: str) -> None:
        keygen("-q", "-t", kind.removesuffix("384"), *KINDS[kind], "-N", "", "-C", "root@board", "-f", path)
        self.path = path
        self.line = path.with_suffix(".pub").read_text().rsplit(" ", 1)[0]
        self.type = self.line.split()[0]
        self.printed = keygen("-lf", path.with_suffix(".pub")).split()[1]
        # As it comes over the wire: the public half alone.
        self.presented = paramiko.PKey.from_type_string(self.type, paramiko.PKey.from_path(path).asbytes())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("host keys")
    made = {kind: Key(folder / kind, kind) for kind in KINDS}
    return {**made, "other": Key(folder / "other", "ed25519")}


def at(*files: Path, hostname: str = "board.local", port: int = 22, alias: str | None = None) -> Address:
    return Address(
        device="pi",
        alias="board",
        hostname=hostname,
        port=port,
        user="k",
        key_files=(),
        identities_only=False,
        agent_socket=None,
        known_hosts=files,
        revoked_keys=None,
        host_key_alias=alias,
        timeout_s=10,
    )


def check(address: Address, key: Key, suite: Path | None = None) -> None:
    HostKeys(address, suite).check(address, key.presented)


def refused(address: Address, key: Key, suite: Path | None = None) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        check(address, key, suite)
    assert not caught.value.transient
    assert caught.value.exit_code == 5
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_is_what_ssh_keygen_prints(keys: dict[str, Key], kind: str) -> None:
    assert fingerprint(keys[kind].presented) == keys[kind].printed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize(("port", "name"), [(22, "board.local"), (2222, "[board.local]:2222")])
def test_a_known_key_passes_also_with_its_name_hashed(
    keys: dict[str, Key], tmp_path: Path, kind: str, hashed: bool, port: int, name: str
) -> None:
    file = tmp_path / "known hosts"
    file.write_text(f"{name} {keys[kind].line} a comment\n")
    if hashed:
        keygen("-H", "-f", file)
        assert "board" not in file.read_text()
    check(at(file, port=port), keys[kind])
    assert "not known" in refused(at(file, hostname="another", port=port), keys[kind]).what


def test_an_unknown_key_is_refused_with_its_fingerprint_and_the_line_that_trusts_it(
    keys: dict[str, Key], tmp_path: Path
) -> None:
    error = refused(at(tmp_path / "missing", port=2222), keys["ed25519"], tmp_path / "missing too")
    assert str(error) == (f"pi, k@board.local:2222: the host key is not known: ssh-ed25519 {keys['ed25519'].printed}")
    hint = error.hint or ""
    assert hint.startswith("edgeprof device trust pi ")
    assert f"--fingerprint {keys['ed25519'].printed}" in hint
    assert hint.endswith("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_place(keys: dict[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# mine\n\nboard.local {keys['other'].line}\nboard.local {keys['rsa'].line}\n")
    error = refused(at(file), keys["ed25519"])
    assert keys["ed25519"].printed in error.what
    assert f"{keys['other'].printed} ({file}:3)" in error.what
    assert keys["rsa"].printed not in error.what
    assert f"ssh-keygen -R 'board.local' -f '{file}'" in (error.hint or "")
    keygen("-R", "board.local", "-f", file)  # the hint's line does what it says
    assert "not known" in refused(at(file), keys["ed25519"]).what


def test_a_key_of_another_type_than_the_known_one_is_a_changed_key(keys: dict[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"board.local {keys['rsa'].line}\n")
    error = refused(at(file), keys["ed25519"])
    assert keys["ed25519"].printed in error.what
    assert keys["rsa"].printed in error.what


def test_the_users_files_decide_and_the_suites_is_asked_only_for_hosts_they_do_not_know(
    keys: dict[str, Key], tmp_path: Path
) -> None:
    mine, systems, suite = tmp_path / "known_hosts", tmp_path / "ssh_known_hosts", tmp_path / "suite"
    suite.write_text(f"board.local {keys['ed25519'].line}\n")
    check(at(mine, systems), keys["ed25519"], suite)
    systems.write_text(f"board.local {keys['other'].line}\n")
    assert f"({systems}:1)" in refused(at(mine, systems), keys["ed25519"], suite).what
    check(at(mine, systems), keys["other"], suite)
    systems.write_text("")
    assert f"({suite}:1)" in refused(at(mine, systems), keys["other"], suite).what


@pytest.mark.parametrize(
    ("names", "hostname", "passes"),
    [
        ("a,board.local,b", "board.local", True),
        ("*.local", "board.local", True),
        ("*.local,!board.*", "board.local", False),
        ("!other,BOARD.local", "board.local", True),
        ("b?ard.local", "board.local", True),
        ("[b]oard.local", "board.local", False),
        ("192.168.1.?", "192.168.1.5", True),
        ("fe80::1", "fe80::1", True),
        ("board", "board.local", False),
    ],
)
def test_names_are_patterns(keys: dict[str, Key], tmp_path: Path, names: str, hostname: str, passes: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{names} {keys['ed25519'].line}\n")
    if passes:
        check(at(file, hostname=hostname), keys["ed25519"])
    else:
        assert "not known" in refused(at(file, hostname=hostname), keys["ed25519"]).what


def test_a_key_alias_stands_for_the_name_and_the_port(keys: dict[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"lab-pi {keys['ed25519'].line}\n")
    check(at(file, port=2222, alias="lab-pi"), keys["ed25519"])
    refused(at(file, port=2222), keys["ed25519"])


def test_a_key_known_for_the_host_serves_on_another_port_unless_that_has_its_own(
    keys: dict[str, Key], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"board.local {keys['ed25519'].line}\n")
    check(at(file, port=2222), keys["ed25519"])
    assert "not known" in refused(at(file, port=2222), keys["other"]).what
    file.write_text(f"board.local {keys['ed25519'].line}\n[board.local]:2222 {keys['other'].line}\n")
    assert f"({file}:2)" in refused(at(file, port=2222), keys["ed25519"]).what


def test_a_revoked_key_is_refused_wherever_else_it_is_known(keys: dict[str, Key], tmp_path: Path) -> None:
    file, suite = tmp_path / "known_hosts", tmp_path / "suite"
    file.write_text(f"board.local {keys['ed25519'].line}\n")
    suite.write_text(f"@revoked * {keys['ed25519'].line}\n")
    error = refused(at(file), keys["ed25519"], suite)
    assert "revoked" in error.what
    assert f"{suite}:1" in error.what
    listed = tmp_path / "revoked keys"
    listed.write_text(f"# bad\n{keys['ed25519'].line} comment\n")
    assert "revoked" in refused(replace(at(file), revoked_keys=listed), keys["ed25519"]).what
    assert "nothing is there" in refused(replace(at(file), revoked_keys=tmp_path / "no"), keys["ed25519"]).what


def test_a_certificate_authority_is_no_host_key(keys: dict[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"@cert-authority *.local {keys['ed25519'].line}\n")
    assert "not known" in refused(at(file), keys["ed25519"]).what
    assert HostKeys(at(file), None).preferred_types(at(file)) == []


def test_lines_that_are_no_keys_are_passed_over(keys: dict[str, Key], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    good, blob = keys["ed25519"].line, keys["ed25519"].line.split()[1]
    file.write_bytes(
        b"\xff\xfe\x00garbage\nboard.local\nboard.local ssh-ed25519\nboard.local ssh-ed25519 AAAA!\n"
        + f"board.local ssh-rsa {blob}\nboard.local ssh-ed25519 AAAA\n@other board.local {good}\n".encode()
        + f"|1|short|x {good}\n|2|AAAA|AAAA {good}\n#board.local {good}\n@revoked\n".encode()
    )
    assert "not known" in refused(at(file), keys["ed25519"]).what
    with file.open("a") as more:
        more.write(f"  board.local\t{good}\r\n")
    check(at(file), keys["ed25519"])


def test_a_file_that_is_there_and_cannot_be_read_is_told(keys: dict[str, Key], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be read") as caught:
        HostKeys(at(tmp_path), None)
    assert caught.value.where == str(tmp_path)


def test_the_types_that_are_known_are_asked_for_first(keys: dict[str, Key], tmp_path: Path) -> None:
    mine, suite = tmp_path / "known_hosts", tmp_path / "suite"
    suite.write_text(f"[board.local]:2222 {keys['ecdsa384'].line}\n")
    address = at(mine, port=2222)
    assert HostKeys(address, suite).preferred_types(address) == ["ecdsa-sha2-nistp384"]
    mine.write_text(f"@revoked * {keys['ecdsa'].line}\nboard.local {keys['rsa'].line}\nx {keys['other'].line}\n")
    assert HostKeys(address, suite).preferred_types(address) == ["rsa-sha2-512", "rsa-sha2-256"]
    known = set(paramiko.Transport._preferred_keys)  # type: ignore[attr-defined]
    assert {"ecdsa-sha2-nistp384", "rsa-sha2-512", "rsa-sha2-256"} <= known


def test_a_remembered_key_is_one_that_openssh_finds_and_stands_there_once(keys: dict[str, Key], tmp_path: Path) -> None:
    suite = tmp_path / "devices" / "known_hosts"
    address = at(port=2222)
    for _ in range(2):
        remember(suite, address, keys["ed25519"].presented)
        remember(suite, address, keys["rsa"].presented)
    assert suite.read_text() == "".join(f"[board.local]:2222 {keys[kind].line}\n" for kind in ("ed25519", "rsa"))
    assert keygen("-F", "[board.local]:2222", "-f", suite).count(keys["ed25519"].line) == 1
    assert suite.stat().st_mode & 0o133 == 0
    check(address, keys["ed25519"], suite)
    check(address, keys["rsa"], suite)


def test_remembering_never_replaces_a_key(keys: dict[str, Key], tmp_path: Path) -> None:
    suite = tmp_path / "known_hosts"
    suite.write_text(f"board.local {keys['other'].line}")  # a line that was not ended
    with pytest.raises(DeviceError, match="another one than before"):
        remember(suite, at(), keys["ed25519"].presented)
    remember(suite, at(), keys["rsa"].presented)
    assert suite.read_text() == f"board.local {keys['other'].line}\nboard.local {keys['rsa'].line}\n"


def test_boards_trusted_at_the_same_time_are_all_remembered(keys: dict[str, Key], tmp_path: Path) -> None:
    suite = tmp_path / "known_hosts"
    boards = [at(hostname=f"board-{n}") for n in range(20)]
    threads = [threading.Thread(target=remember, args=(suite, one, keys["ed25519"].presented)) for one in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(suite.read_text().splitlines()) == sorted(f"{b.hostname} {keys['ed25519'].line}" for b in boards)


@pytest.mark.parametrize("name", ["a b", "a,b", "*", "a\nb", "|1|x", "@x", "#x", ""])
def test_a_name_that_would_mean_something_else_is_not_written(keys: dict[str, Key], tmp_path: Path, name: str) -> None:
    with pytest.raises(DeviceError, match="cannot stand"):
        remember(tmp_path / "known_hosts", at(hostname=name), keys["ed25519"].presented)
    assert not (tmp_path / "known_hosts").exists()


def test_a_file_that_cannot_be_written_is_told(keys: dict[str, Key], tmp_path: Path) -> None:
    (tmp_path / "devices").write_text("a file")
    with pytest.raises(DeviceError, match="cannot be written"):
        remember(tmp_path / "devices" / "known_hosts", at(), keys["ed25519"].presented)
