"""How OpenSSH's files write words, patterns, ports and times."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

from edgeprof.errors import DeviceError

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# A word of a Match line, perhaps in quotes, and what parts it from the next.
WORD = re.compile(r'(?:"([^"]*)"|([^ \t\r\n"=]+))[ \t\r\n]*=?[ \t\r\n]*')
JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^,\s]+)@)?(?P<host>\[[^\]\s]+\]|[^@:,/\s\[\]]+)(?::(?P<port>[^:@,/\s]+))?/?"
)


class JumpHost(NamedTuple):
    """A host to go through, as ProxyJump names it."""

    host: str
    user: str | None
    port: int | None


def matches(text: str, pattern: str) -> bool:
    """Whether a pattern of OpenSSH's (`*` and `?`, nothing else) is met by all of a text."""
    at = in_pattern = 0
    star, resume = -1, 0
    while at < len(text):
        letter = pattern[in_pattern : in_pattern + 1]
        if letter == "*":
            star, resume = in_pattern, at
            in_pattern += 1
        elif letter in ("?", text[at]):
            at, in_pattern = at + 1, in_pattern + 1
        elif star >= 0:
            # The last star takes one letter more.
            at = resume = resume + 1
            in_pattern = star + 1
        else:
            return False
    return not pattern[in_pattern:].strip("*")


def matches_list(text: str, patterns: str) -> bool:
    """The same for a list with commas; a pattern with `!` that is met excludes."""
    found = False
    for pattern in patterns.split(","):
        if not pattern.startswith("!"):
            found = found or matches(text, pattern)
        elif matches(text, pattern[1:]):
            return False
    return found


def split(text: str, at: str) -> list[str]:
    """The words of a line up to a comment; quotes of both kinds, and a backslash before a quote, itself or a space."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    letters = iter(range(len(text)))
    for i in letters:
        letter, following = text[i], text[i + 1 : i + 2]
        if word is None and letter in " \t":
            continue
        if word is None and letter == "#":
            break
        word = word or ""
        if letter == "\\" and following and (following in "'\"\\" or (following == " " and not quote)):
            word += following
            next(letters)
        elif not quote and letter in " \t":
            words.append(word)
            word = None
        elif not quote and letter in "\"'":
            quote = letter
        elif quote and letter == quote:
            quote = ""
        else:
            word += letter
    if quote:
        raise DeviceError("a quote is not closed", where=at)
    return words if word is None else [*words, word]


def match_words(line: str, at: str) -> Iterator[str]:
    """The words of a Match line, which may also be written as `host=pi`."""
    place = 0
    while place < len(line):
        word = WORD.match(line, place)
        if word is None:
            raise DeviceError("this Match cannot be understood", where=at)
        yield word[2] if word[1] is None else word[1]
        place = word.end()


def port_number(text: str, at: str) -> int:
    """A port by number or by the name of its service."""
    try:
        port = int(text) if text.isascii() and text.isdigit() else socket.getservbyname(text, "tcp")
    except OSError:
        port = 0
    if not 0 < port < 65536:
        raise DeviceError(f"{text!r} is no port", where=at)
    return port


def seconds(text: str, at: str) -> float | None:
    """A time like `10` or `1m30s`; None: none."""
    if text.lower() == "none":
        return None
    if not re.fullmatch(r"(?=.)([0-9]{1,9}[smhdwSMHDW])*([0-9]{1,9})?", text):
        raise DeviceError(f"{text!r} is no time", where=at, hint="for example 10, or 1m30s")
    return float(sum(int(n) * UNITS[unit.lower()] for n, unit in re.findall(r"([0-9]+)([a-zA-Z]?)", text)))


def yes_or_no(text: str, yes: tuple[str, ...], no: tuple[str, ...], at: str) -> bool:
    """Which of the two lists holds the word."""
    if text.lower() not in (*yes, *no):
        raise DeviceError(f"{text!r} is neither yes nor no", where=at)
    return text.lower() in yes


def jump_hosts(text: str, at: str) -> list[JumpHost]:
    """The hosts of a ProxyJump, first hop first."""
    hosts = []
    for part in text.split(","):
        one = JUMP.fullmatch(part)
        if one is None or one["host"].startswith("-"):
            raise DeviceError(f"ProxyJump: {part!r} is no [user@]host[:port]", where=at)
        hosts.append(
            JumpHost(one["host"].strip("[]"), one["user"], port_number(one["port"], at) if one["port"] else None)
        )
    return hosts
