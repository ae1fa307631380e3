"""What the host asks of a board beside measuring: its lease, its files, its sessions.

Each call is answered by one event, or refused (`refusal.py`).
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict

from . import session, site
from .clean import clean, forget
from .lease import HOST_S, Lease


def carry_out(call: Dict[str, Any], workdir: str, program: str) -> Dict[str, Any]:
    """Do what a call asks; returns the event that answers it.

    Raises:
        Refused: it is not done, and why.
        KeyError, TypeError, ValueError: it is no such call.
    """
    calls: Dict[str, Callable[[], Dict[str, Any]]] = {
        "take": lambda: _take(call),
        "release": lambda: _release(call),
        "sites": lambda: {"event": "sites", "sites": site.sites(workdir, call["shas"])},
        "unpack": lambda: {"event": "unpacked", "path": site.unpack(workdir, call["sha"], call["name"])},
        "look": lambda: session.look(workdir, call["name"]),
        "drop": lambda: session.drop(workdir, call["name"]),
        "start": lambda: session.start(
            workdir,
            call["name"],
            program,
            int(call["fence"]),
            call["lease"],
            float(call["linger_s"]),
            call["state"],
        ),
        "forget": lambda: forget(workdir, call["shas"]),
        "clean": lambda: clean(workdir, float(call["older_than_s"]), bool(call["everything"]), program),
    }
    if call["call"] not in calls:
        raise ValueError("unknown call")
    return calls[call["call"]]()


def _take(call: Dict[str, Any]) -> Dict[str, Any]:
    lease = Lease(call["lease"])
    fence = lease.take(call["owner"], call["what"], call["session"], os.getpid(), HOST_S, call.get("fence"))
    return {"event": "taken", "fence": fence}


def _release(call: Dict[str, Any]) -> Dict[str, Any]:
    Lease(call["lease"]).release(int(call["fence"]))
    return {"event": "released"}
