"""What lies between a login and our agent: any login shell, locale, home folder and Python, with the real sshd.

Each is either no matter at all, or ends in a sentence with what to do about it, never in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from logins import CLEAN, LoginDesk, as_shell, on, works
from testbed.programs import library_path, program
from testbed.sshd import Sshd

SHELLS: dict[str, Callable[[], Sequence[str | Path]]] = {
    "bash": lambda: ["/bin/bash"],
    "dash": lambda: ["/bin/dash"],
    "busybox": lambda: [program("busybox"), "sh"],
    "fish": lambda: ["/usr/bin/env", f"LD_LIBRARY_PATH={library_path()}", program("fish")],
    "zsh": lambda: [program("zsh")],
    "tcsh": lambda: [program("tcsh")],
}
FIRST = ("dash", "fish", "tcsh")
"""The most different ones; with the others it takes longer than tests at every change may."""
SLOW = pytest.mark.slow
ODD_HOME = """it's a "höme" – 試 $HOME !x \\\\n;"""
"""Every character that some shell reads in a way of its own."""
LOUD = b"""\
echo WELCOME; echo welcome >&2
head -c 3000000 /dev/urandom; head -c 3000000 /dev/urandom >&2
printf '\\033[2J\\0\\377 no end of line'; printf '\\033[2J\\0\\377 no end of line' >&2
touch loud
"""


@pytest.fixture
def desk(tmp_path: Path) -> LoginDesk:
    return LoginDesk(tmp_path / "desk")


@pytest.mark.parametrize("shell", [*FIRST, *(pytest.param(one, marks=SLOW) for one in SHELLS if one not in FIRST)])
def test_any_login_shell_and_a_home_folder_of_any_name(
    sshd: Sshd, desk: LoginDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    on(sshd, desk, shell=as_shell(tmp_path, SHELLS[shell]()), home=tmp_path / ODD_HOME)
    works(sshd, desk, monkeypatch)


def test_what_a_login_shell_prints_on_both_streams_is_passed_over(
    sshd: Sshd, desk: LoginDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes of it, and no end of line before our own first word."""
    (sshd.home / ".bashrc").write_bytes(LOUD)
    on(sshd, desk)
    works(sshd, desk, monkeypatch)
    assert (sshd.home / "loud").exists()


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("/usr/sbin/nologin", ["exit status 1", "currently not available"]),
        pytest.param("/bin/false", ["exit status 1"], marks=SLOW),
        ("/bin/rbash", ["restricted: cannot specify `/' in command names"]),
        pytest.param("/no/such/shell", ["/no/such/shell", "not found"], marks=SLOW),
    ],
)
def test_a_login_shell_that_runs_no_commands_is_told_with_its_own_words(
    sshd: Sshd, desk: LoginDesk, shell: str, words: list[str]
) -> None:
    on(sshd, desk, shell=shell)
    desk.refused("the account's shell on the device runs no commands", f"sudo chsh -s /bin/sh {sshd.user}", *words)


@pytest.mark.parametrize(
    ("config", "bashrc", "words"),
    [
        pytest.param(["ForceCommand echo only this"], "", "exit status 0: only this", marks=SLOW),
        ([], "echo sorry; echo no >&2; exit 3", "exit status 3: no"),
    ],
)
def test_what_ends_a_login_before_our_command_is_told(
    sshd: Sshd, desk: LoginDesk, config: list[str], bashrc: str, words: str
) -> None:
    (sshd.home / ".bashrc").write_text(bashrc)
    on(sshd, desk, config=config)
    desk.refused(words, "look for exit in ~/.bashrc, ForceCommand in sshd_config")


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "de_DE.ISO-8859-1", "LC_ALL": "de_DE.ISO-8859-1", "LANGUAGE": "de:fr"},
        pytest.param(
            {"LANG": "C", "LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1", "PYTHONCOERCECLOCALE": "0"}, marks=SLOW
        ),
    ],
)
def test_a_locale_that_is_not_ours_changes_nothing(
    sshd: Sshd, desk: LoginDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    on(sshd, desk, environment=environment, home=tmp_path / "höme 試")
    works(sshd, desk, monkeypatch)


@pytest.mark.slow
def test_a_folder_whose_name_is_not_utf8_is_told_and_another_one_serves(
    sshd: Sshd, desk: LoginDesk, tmp_path: Path
) -> None:
    home = f"\"$(printf '{tmp_path}/jos\\351')\""
    (sshd.home / ".bashrc").write_text(f"mkdir -p {home}; export HOME={home}; cd\n")
    on(sshd, desk)
    desk.refused("the folder on the device has a name that is not UTF-8", "workdir = ")
    on(sshd, desk, keys={"workdir": str(tmp_path / "work")})
    desk.edgeprof(*CLEAN)


def test_a_server_without_sftp_serves(sshd: Sshd, desk: LoginDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    on(sshd, desk, sftp=False)
    works(sshd, desk, monkeypatch)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("~/tilde", "tilde"),
        ("../up \u00fc", "../up \u00fc"),
        pytest.param("rel/a b", "rel/a b", marks=SLOW),
        pytest.param("-x", "-x", marks=SLOW),
    ],
)
def test_a_workdir_is_taken_from_the_home_folder_there(sshd: Sshd, desk: LoginDesk, asked: str, place: str) -> None:
    on(sshd, desk, keys={"workdir": asked})
    desk.edgeprof(*CLEAN)
    assert list((sshd.home / place / "blobs").iterdir())


@pytest.mark.parametrize("asked", ["~nobody/x", *(pytest.param(one, marks=SLOW) for one in ("~", "a\nb", " "))])
def test_a_workdir_that_would_be_taken_for_another_is_refused_in_the_file(
    sshd: Sshd, desk: LoginDesk, asked: str
) -> None:
    on(sshd, desk, keys={"workdir": asked})
    assert "workdir" in desk.edgeprof(*CLEAN, code=2).stderr
    assert list(sshd.home.iterdir()) == []


def test_a_workdir_that_cannot_be_written_is_told_with_the_reason(sshd: Sshd, desk: LoginDesk, tmp_path: Path) -> None:
    """Not by rights alone: root has all of them."""
    (tmp_path / "file").write_text("")
    on(sshd, desk, keys={"workdir": str(tmp_path / "file" / "x")})
    desk.refused(f"{tmp_path}/file/x on the device cannot be written", "Not a directory", "workdir =")
    (tmp_path / "work" / "blobs" / ".write").mkdir(parents=True)
    desk.add(sshd, workdir=str(tmp_path / "work"))
    desk.refused(f"{tmp_path}/work on the device cannot be written", "workdir =")
