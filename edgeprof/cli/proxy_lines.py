"""`edgeprof show proxies` for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeprof.cli import console, tables
from edgeprof.cli.compare_runs import plain
from edgeprof.records.proxies import DeviceProxies, DeviceSwap, Proxies, ProxyKind, ProxySwap, RankAgreement

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS: dict[ProxyKind, str] = {"macs": "MACs", "params": "parameters", "size": "file size", "host": "this host"}
BETWEEN: dict[ProxyKind, str] = {
    "runtime": "between runtimes of one precision, by latency",
    "precision": "between precisions of one runtime, by latency",
    "initialisation": "between initialisations, by top-1",
    "device": "between devices, by latency of the same files",
}


def tell_proxies(found: Proxies) -> None:
    """A table of the device's orders against cheap ones, what forms and devices share, and the pairs that swap."""
    out = console.out()
    if not found.devices:
        console.say("nothing was measured that a proxy could be held against")
        return
    for device in found.devices:
        _say(f"{device.device}, run {device.run}: does a proxy order the models as their latency does?", out.width)
        out.print(_against(device))
        for kind in ("runtime", "precision", "initialisation"):
            _between(kind, [one for one in device.agreements if one.kind == kind])
        _swaps(device, out.width)
        if device.untrusted:
            console.say(f"not trusted: {device.untrusted} candidates on {device.device}; they are in no swap")
        if device.host_run is None and device.device != "localhost":
            hint = "edgeprof run --device localhost"
            console.say(f"no run on this host has the files of {device.device}, so no column for it: {hint}")
    _between("device", found.between)
    if found.swaps:
        print("pairs that two devices put surely the other way round")
        for one in found.swaps:
            _say(f"  {device_swap(one)}", out.width)
    _say(
        "1: the same order, -1: the reverse (Kendall's tau-b), with the 95% interval over the models, each of which"
        " counts once. Few models leave it wide.",
        out.width,
    )


def _against(device: DeviceProxies) -> Table:
    """A row for each exporter and number of threads."""
    kinds = [kind for kind in COLUMNS if any(one.kind == kind for one in device.agreements)]
    table = tables.new_table(
        "exporter", "thr", *(COLUMNS[kind] for kind in kinds), "models", right=("thr", "models"), folded=("exporter",)
    )
    rows: dict[tuple[str, int | None], dict[str, RankAgreement]] = {}
    for one in device.agreements:
        if one.kind in COLUMNS:
            rows.setdefault((one.second, one.threads), {})[one.kind] = one
    for (exporter, threads), row in rows.items():
        models = max(one.models for one in row.values())
        cells = [tau(row[kind]) if kind in row else "-" for kind in kinds]
        table.add_row(plain(exporter), str(threads), *cells, str(models))
    return table


def _between(kind: ProxyKind, some: Sequence[RankAgreement]) -> None:
    if not some:
        return
    threads = any(one.threads is not None for one in some)
    names = ["one", "other", *(["thr"] if threads else []), "agreement", "models"]
    table = tables.new_table(*names, right=("thr", "models"), folded=("one", "other"))
    for one in some:
        at = [str(one.threads)] if threads else []
        table.add_row(plain(one.first), plain(one.second), *at, tau(one), str(one.models))
    print(BETWEEN[kind])
    console.out().print(table)


def tau(one: RankAgreement) -> str:
    """The value with its interval, or why there is none."""
    if one.tau is None or one.tau.low is None or one.tau.high is None:
        return (one.why or "-").split(":")[0]
    return f"{one.tau.value:+.2f} ({one.tau.low:+.2f}..{one.tau.high:+.2f})"


def _swaps(device: DeviceProxies, width: int) -> None:
    if not device.swaps:
        print("no pair of models is surely slower with fewer MACs")
        return
    print("pairs that MACs order one way, and measured latency surely the other way")
    for one in device.swaps:
        _say(f"  {swap(one)}", width)


def swap(one: ProxySwap) -> str:
    """A pair in a sentence."""
    settings = "" if one.settings == 1 else f"; so in {one.settings} settings"
    fewer = f"{one.faster_macs / one.slower_macs:.1f} times fewer MACs"
    return (
        f"{one.slower} takes {one.factor:.2f} times as long as {one.faster} with {fewer}"
        f" ({tables.milliseconds(one.slower_ms.value)} against {tables.milliseconds(one.faster_ms.value)} ms,"
        f" {one.exporter}, {tables.threads(one.threads)}{settings})"
    )


def device_swap(one: DeviceSwap) -> str:
    """A pair on two devices in a sentence."""
    settings = "" if one.settings == 1 else f"; so in {one.settings} settings"
    return (
        f"{one.slower} takes {one.first_factor:.2f} times as long as {one.faster} on {one.first}; on {one.second}"
        f" {one.faster} takes {one.second_factor:.2f} times as long as {one.slower}"
        f" ({one.exporter}, {tables.threads(one.threads)}{settings})"
    )


def _say(text: str, width: int) -> None:
    shown = "".join(char if char.isprintable() else "\ufffd" for char in text)
    indent = "    " if shown.startswith("  ") else ""
    print(textwrap.fill(shown, max(40, width), subsequent_indent=indent))
