"""Which runs are asked what proxies hide."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.errors import UsageError, nearest
from edgeprof.pipeline.read import assemble, find_run
from edgeprof.pipeline.runs import finished
from edgeprof.rank.proxies import proxies as ranked
from edgeprof.records import Ranking, Run
from edgeprof.records.proxies import Proxies
from edgeprof.store import Store

HOST = "localhost"


def proxies(store: Store, devices: Sequence[str] = (), run: str | None = None) -> Proxies:
    """Of the newest run of each device, beside the newest run of the host with the same files.

    Args:
        devices: (): all that have a finished run; with `run`, which is of one device, none or that one.

    Raises:
        UsageError: there is no such run or device.
    """
    newest = {one.device: one for one in finished(store)}
    if run is not None:
        this = find_run(store, None, run)
        if set(devices) - {this.device}:
            raise UsageError(f"run {run} is of {this.device}", hint="leave --device or --run out")
        chosen = [this]
    else:
        for name in devices:
            if name not in newest:
                raise UsageError(f"there is no finished run on {name}", hint=nearest(name, newest) or None)
        chosen = [newest[name] for name in dict.fromkeys(devices)] or list(newest.values())
    if not chosen:
        find_run(store)  # tells that there is none
    known: dict[str, Ranking] = {}

    def ranking(this: Run) -> Ranking:
        if this.run not in known:
            known[this.run] = assemble(store, this, write=False).ranking
        return known[this.run]

    hosts = {}
    for one in chosen:
        host = _host(store, one)
        if host is not None:
            hosts[one.device] = ranking(host)
    return ranked([ranking(one) for one in chosen], hosts)


def _host(store: Store, this: Run) -> Run | None:
    """The newest run here that measured most of the same files; None for runs here, and where there is none."""
    files = {cell.artifact_sha for cell in this.cells}
    here = [] if this.device == HOST else finished(store, HOST)
    shared = [(len(files & {cell.artifact_sha for cell in one.cells}), one) for one in here]
    most = max((count for count, _ in shared), default=0)
    return next((one for count, one in reversed(shared) if count == most), None) if most else None
