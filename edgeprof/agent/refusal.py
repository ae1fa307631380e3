"""What the device side says no to, with a word that the host understands."""

from __future__ import annotations

import errno
from typing import Any, Dict, Optional

KINDS = ("busy", "lease_lost", "disk_full", "read_only", "sudo", "unsupported", "damaged", "other")


class Refused(Exception):
    """Something that the host asked for is not done.

    Args:
        kind: one of `KINDS`.
        holder: of a board that is in use: owner, what, session, fence and seconds left.
    """

    def __init__(self, kind: str, message: str, holder: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.holder = holder

    def event(self) -> Dict[str, Any]:
        """As the host is told."""
        return {"event": "refused", "kind": self.kind, "message": str(self), "holder": self.holder}


def refused(error: OSError, doing: str) -> Refused:
    """What the system said no to, as a refusal."""
    kind = "other"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        kind = "disk_full"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        kind = "read_only"
    where = ": %s" % error.filename if error.filename else ""
    return Refused(kind, "%s: %s%s" % (doing, error.strerror or error, where))
