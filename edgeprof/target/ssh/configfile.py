"""ssh_config files -> the values that stand for one host, unexpanded; ssh_config(5) as OpenSSH reads it.

Not paramiko's reader: that one knows no Include, no comments at the end of a line, no quotes within a value, and takes
`[` in a pattern for more than a letter. Keywords that edgeprof does not need are passed over, whatever they say.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeprof.errors import DeviceError
from edgeprof.target.ssh.syntax import (
    jump_hosts,
    match_words,
    matches,
    matches_list,
    port_number,
    seconds,
    split,
    yes_or_no,
)

MAX_DEPTH = 16
"""Files that include each other, at most; OpenSSH's bound."""
TEXTS = {
    "hostname": "hostname",
    "user": "user",
    "hostkeyalias": "host_key_alias",
    "identityagent": "identity_agent",
    "revokedhostkeys": "revoked_host_keys",
    "tag": "tag",
}
# Conditions of some OpenSSH that edgeprof does not evaluate; any other name is an error, met or not.
_UNREAD = ("exec", "localnetwork", "command", "sessiontype", "version")
LISTS = {"userknownhostsfile": "user_known_hosts", "globalknownhostsfile": "global_known_hosts"}


@dataclass(frozen=True)
class Options:
    """What the files say for a host; None: nothing. Of each the first value found counts, of identity files all do."""

    hostname: str | None = None
    user: str | None = None
    port: int | None = None
    identity_files: tuple[str, ...] = ()
    identities_only: bool | None = None
    identity_agent: str | None = None
    jump: str | None = None
    """As written, or "none"."""
    proxy_command_at: str | None = None
    """FILE line N of a ProxyCommand; "" for the command none. It may hold a password, so it is not kept."""
    connect_timeout_s: float | None = None
    user_known_hosts: tuple[str, ...] | None = None
    global_known_hosts: tuple[str, ...] | None = None
    host_key_alias: str | None = None
    revoked_host_keys: str | None = None
    tag: str | None = None
    canonicalize: bool | None = None


def read_options(asked: Options, alias: str, local_user: str, home: Path, system: Path) -> Options:
    """What `~/.ssh/config`, then `/etc/ssh/ssh_config` say for a host, beside what was asked for already.

    Args:
        asked: set before any file is read, as a command line does.
        alias: the host as the user writes it.
        home, system: the folders in place of `~` and `/etc/ssh`.

    Raises:
        DeviceError: a file cannot be read or understood, others may write it, or it needs `Match exec`.
    """
    options, final = asked, False
    while True:
        host = (options.hostname or alias) if final else alias
        reader = _Reader(options, alias, host, local_user, home, system, final)
        reader.read(home / ".ssh" / "config", users=True, guarded=True)
        reader.read(system / "ssh_config", users=False, guarded=False)
        options = reader.options
        if final or not (reader.wants_final or options.canonicalize):
            return options
        options, final = replace(options, hostname=canonical(expand_hostname(options.hostname, alias))), True


def expand_hostname(hostname: str | None, alias: str) -> str:
    """The value of HostName with its tokens, else the alias."""
    return re.sub("%([%h])", lambda m: "%" if m[1] == "%" else alias, hostname) if hostname else alias


def canonical(host: str) -> str:
    """An address in its usual form, a name in small letters; nobody is asked for it."""
    try:
        numeric = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return socket.getnameinfo(numeric[0][4], socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    except (OSError, UnicodeError):
        return host.lower()


class _Reader:
    """One pass over the files."""

    def __init__(
        self, options: Options, alias: str, host: str, local_user: str, home: Path, system: Path, final: bool
    ) -> None:
        self.options = options
        self.wants_final = False
        self._alias, self._host, self._local_user = alias, host, local_user
        self._home, self._system, self._final = home, system, final

    def read(self, path: Path, *, users: bool, guarded: bool, dead: bool = False, depth: int = 0) -> None:
        """Take in a file, if there is one. `guarded`: only its owner may write it. `dead`: nothing in it counts."""
        if depth > MAX_DEPTH:
            raise DeviceError("the Include lines go round in a circle", where=str(path))
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                lines = file.read().decode("utf-8", "surrogateescape").split("\n")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except OSError as error:
            raise DeviceError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
        if guarded and (found.st_uid not in (0, os.getuid()) or stat.S_IMODE(found.st_mode) & 0o022):
            raise DeviceError(
                "others may write this file, so OpenSSH does not take it either",
                where=str(path),
                hint=f"chmod go-w {path}",
            )
        active = not dead
        for number, line in enumerate(lines, 1):
            at = f"{path} line {number}"
            said = re.fullmatch(r'([^\s"=#][^\s"=]*)[ \t\r]*=?[ \t\r]*(.*?)', line.strip(" \t\r\f"), re.DOTALL)
            if said is None:
                continue
            keyword, rest = said[1].lower(), said[2]
            if keyword == "host":
                active = self._is_meant(self._words(rest, keyword, at)) and not dead
            elif keyword == "match":
                active = self._matches(rest, at, dead) and not dead
            elif keyword == "include":
                for word in self._words(rest, keyword, at):
                    for inner in self._included(word, users, at):
                        self.read(inner, users=users, guarded=True, dead=not active, depth=depth + 1)
            else:
                changed = self._changed(keyword, rest, at)
                self.options = changed if active else self.options

    def _changed(self, keyword: str, rest: str, at: str) -> Options:
        """The options with what a line says, if nothing came before it. It is checked even where it does not count."""
        now = self.options
        if keyword in TEXTS:
            return self._with(TEXTS[keyword], self._word(rest, keyword, at))
        if keyword in LISTS:
            values = tuple(self._words(rest, keyword, at))
            if len(values) > 1 and "none" in (value.lower() for value in values):
                raise DeviceError(f"{keyword}: none stands alone or not at all", where=at)
            return self._with(LISTS[keyword], values)
        if keyword == "identityfile":
            file = self._word(rest, keyword, at)
            return now if file in now.identity_files else replace(now, identity_files=(*now.identity_files, file))
        if keyword == "port":
            return self._with("port", port_number(self._word(rest, keyword, at), at))
        if keyword == "connecttimeout":
            limit = seconds(self._word(rest, keyword, at), at)
            # To OpenSSH, none is the same as no line at all.
            return now if limit is None else self._with("connect_timeout_s", limit)
        if keyword == "identitiesonly":
            only = yes_or_no(self._word(rest, keyword, at), ("yes", "true"), ("no", "false"), at)
            return self._with("identities_only", only)
        if keyword == "canonicalizehostname":
            said = yes_or_no(self._word(rest, keyword, at), ("yes", "true", "always"), ("no", "false", "none"), at)
            return self._with("canonicalize", said)
        if keyword in ("proxyjump", "proxycommand"):
            # Of the two, the one that comes first; both take the rest of the line as it stands.
            value = (rest.partition("#")[0] if keyword == "proxyjump" else rest).strip()
            if not value:
                raise DeviceError(f"{keyword} has no value", where=at)
            if keyword == "proxyjump" and value.lower() != "none":
                jump_hosts(value, at)
            if now.jump is not None or now.proxy_command_at is not None:
                return now
            if keyword == "proxyjump":
                return replace(now, jump="none" if value.lower() == "none" else value)
            return replace(now, proxy_command_at="" if value.lower() == "none" else at)
        return now

    def _with(self, field: str, value: object) -> Options:
        values: dict[str, Any] = {field: value}
        return self.options if getattr(self.options, field) is not None else replace(self.options, **values)

    def _is_meant(self, patterns: list[str]) -> bool:
        shunned = any(one.startswith("!") and matches(self._host, one[1:]) for one in patterns)
        return not shunned and any(matches(self._host, one) for one in patterns if not one.startswith("!"))

    def _matches(self, line: str, at: str, dead: bool) -> bool:
        """Whether all conditions of a Match line are met."""
        words = match_words(line, at)
        result, seen = True, False
        host = (self.options.hostname or self._alias) if self._final else None
        for word in words:
            if word.startswith("#"):
                break
            seen = True
            name = word.removeprefix("!").lower()
            if name in ("all", "canonical", "final"):
                self.wants_final = self.wants_final or name == "final"
                met = name == "all" or self._final
            else:
                argument = next(words, None)
                if argument is None:
                    raise DeviceError(f"Match {name} has no argument", where=at)
                if name == "host":
                    host = host or expand_hostname(self.options.hostname, self._alias)
                    met = matches_list(host.lower(), argument.lower())
                elif name == "originalhost":
                    met = matches_list(self._alias.lower(), argument.lower())
                elif name == "user":
                    met = matches_list(self.options.user or self._local_user, argument)
                elif name == "localuser":
                    met = matches_list(self._local_user, argument)
                elif name == "tagged":
                    met = matches_list(self.options.tag or "", argument)
                elif (not result or dead) and name in _UNREAD:
                    continue  # cannot become true any more, so OpenSSH does not look at it either
                else:
                    raise DeviceError(
                        f"edgeprof does not know the condition Match {name}",
                        where=at,
                        hint=f"let the line not reach it for this device: Match !originalhost {self._alias} {name} ...",
                    )
            result = result and met != word.startswith("!")
        if not seen:
            raise DeviceError("Match has no condition", where=at)
        return result

    def _included(self, pattern: str, users: bool, at: str) -> Iterator[Path]:
        """The files that an Include means, in order."""
        if pattern.startswith("~"):
            if not users:
                raise DeviceError(f"Include {pattern}: a system file cannot name a home folder", where=at)
            pattern = expand_home(pattern, self._home)
        elif not pattern.startswith("/"):
            folder = self._home / ".ssh" if users else self._system
            pattern = os.path.join(glob.escape(str(folder)), pattern)
        return (Path(found) for found in sorted(glob.glob(pattern)))

    def _words(self, rest: str, keyword: str, at: str) -> list[str]:
        words = split(rest, at)
        if not words or not all(words):
            raise DeviceError(f"{keyword} has no value", where=at)
        return words

    def _word(self, rest: str, keyword: str, at: str) -> str:
        words = self._words(rest, keyword, at)
        if len(words) > 1:
            raise DeviceError(f"{keyword} takes one value", where=at, hint="a value with spaces stands in quotes")
        return words[0]


def expand_home(text: str, home: Path) -> str:
    """`~/x` and `~user/x` as the folders that they mean."""
    if text == "~" or text.startswith("~/"):
        return str(home) + text[1:]
    if text.startswith("~"):
        user, slash, rest = text[1:].partition("/")
        try:
            return pwd.getpwnam(user).pw_dir + slash + rest
        except KeyError:
            raise DeviceError(f"there is no user {user!r}, named by {text!r}") from None
    return text
