"""What the groups of `Suite`'s methods stand on."""

from __future__ import annotations

from edgeprof.api.place import Place

HERE = "localhost"


class Based:
    """A suite's files and a working folder; each group of methods of `Suite` is a class over it."""

    _place: Place
