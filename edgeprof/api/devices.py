"""`Suite`: devices by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeprof import suite as suites
from edgeprof.api import adding
from edgeprof.api.adding import Ask
from edgeprof.api.asking import FilePath
from edgeprof.api.base import HERE, Based
from edgeprof.api.made import AddedDevice, Cleaned, TrustedKey
from edgeprof.api.place import ours, writing
from edgeprof.progress import Progress, Silent

if TYPE_CHECKING:
    from edgeprof.records import DeviceFacts, Finding


class DeviceMethods(Based):
    """Add boards, look at them, and keep them in order."""

    def probe(self, device: str = HERE, *, progress: Progress | None = None) -> DeviceFacts:
        """What a device is: board, processor, memory, system, clock, heat, runtimes.

        Raises:
            LinkError, DeviceError: it cannot be reached or asked.
        """
        from edgeprof import pipeline

        board = self._place.files.device(device)
        with writing(self._place.root) as store:
            return pipeline.probe(store, board, progress or Silent())

    def doctor(
        self, device: str = HERE, *, exporters: Sequence[str] | None = None, progress: Progress | None = None
    ) -> tuple[Finding, ...]:
        """What would spoil a measurement on a device as it is now, the worst first.

        Args:
            exporters: whose files are to be measured there; None: those of the device.

        Raises:
            LinkError, DeviceError: it cannot be reached or asked.
        """
        from edgeprof import pipeline

        board = self._place.files.device(device)
        formats = {one.format for one in pipeline.exporters(self._place.files, exporters, board)}
        with writing(self._place.root) as store:
            return pipeline.doctor(store, board, formats, progress or Silent())

    def add_device(
        self,
        name: str,
        address: str,
        *,
        fingerprint: str | None = None,
        ask: Ask | None = None,
        key_file: FilePath | None = None,
        password_env: str | None = None,
        python: str | None = None,
        workdir: str | None = None,
        provision: bool | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> AddedDevice:
        """Add a board that is reached over SSH: connect, look at it, and write `devices/NAME.toml`.

        With the built-in suite, one is made in the working folder first, and this object is of that from now on.

        Args:
            name: what to call it, for `device=`.
            address: [USER@]HOST[:PORT], or a Host of ~/.ssh/config.
            fingerprint: the host key that is expected, SHA256:...; another is refused.
            ask: without a fingerprint: asks a person about a key that is not known. None: it is refused.
            key_file: a private key, if the usual ones are not it.
            password_env: the environment variable with the password, or the key's passphrase.
            python: the board's Python, if python3 is not it.
            workdir: a folder on the board; None: ~/.cache/edgeprof there.
            provision: whether edgeprof brings the runtimes; None: it does.
            force: replace a file of that name for another address.

        Raises:
            UsageError, SuiteError: the name or the address is none, or another board has the name.
            LinkError, DeviceError: it cannot be reached or asked, or its host key is not known.
        """
        from edgeprof import pipeline, suite_files

        key = None if key_file is None else Path(key_file)
        board = adding.board_at(name, address, key, password_env, python, workdir, provision)
        suites.check_device(board)
        told = progress or Silent()
        self._place = self._place.to_write(told)
        root = self._place.files.root
        with ours():
            known = adding.known_board(root, board, force)
        hosts = str(root / "devices" / "known_hosts")
        board = msgspec.structs.replace(adding.merged(known, board), known_hosts=hosts)

        def written_all_the_same() -> None:
            # So that `trust_device` knows whom it is about.
            suite_files.write_device(root, adding.plain(board))

        with writing(self._place.root) as store, adding.unwritten(root / "devices" / f"{name}.toml"):
            seen = adding.make_known(board, fingerprint, ask, written_all_the_same, told)
            facts = pipeline.probe(store, board, told)
        with ours():
            more = {} if known is not None and known.description else adding.described(facts)
            path = suite_files.write_device(root, msgspec.structs.replace(adding.plain(board), **more))
        return AddedDevice(name, path, seen.fingerprint, facts)

    def trust_device(
        self,
        device: str,
        *,
        fingerprint: str | None = None,
        ask: Ask | None = None,
        progress: Progress | None = None,
    ) -> TrustedKey:
        """Take a board's host key (or first that of a jump host on the way) for its own from now on.

        Args:
            fingerprint: that somebody has compared, SHA256:...; another is refused.
            ask: without a fingerprint: asks a person. None: a key that is not known is refused.

        Raises:
            UsageError: there is no such device, or it is this machine.
            LinkError, DeviceError: its key cannot be asked for, is another, or is not taken for known.
        """
        from edgeprof import pipeline

        board, told = self._place.files.device(device), progress or Silent()
        file: Path | None = None
        with ours():
            while not (seen := pipeline.presented(board, told)).known:
                if not adding.decided(seen, board, fingerprint, ask):
                    raise adding.untrusted(seen, board)
                file = pipeline.accept(board, seen)
                if not seen.jump or fingerprint is not None:
                    break
        if fingerprint not in (None, seen.fingerprint):
            raise adding.other_key(seen, board, str(fingerprint))
        return TrustedKey(device, seen.host, seen.jump, seen.fingerprint, seen.kind, file)

    def clean_device(
        self,
        device: str,
        *,
        older_than_s: float = 7 * 24 * 3600.0,
        everything: bool = False,
        wait_s: float = 0.0,
        progress: Progress | None = None,
    ) -> Cleaned:
        """Make room on a board: remove files, environments and ended sessions; never what is in use.

        Args:
            older_than_s: what was not used for so long, in seconds.
            everything: all that edgeprof keeps there.
            wait_s: for somebody who measures there.

        Raises:
            UsageError: there is no such device, or it is this machine.
            DeviceBusyError: somebody measures there.
            LinkError, DeviceError: it cannot be reached or asked.
        """
        from edgeprof import pipeline

        board = self._place.files.device(device)
        with self._place.working(f"device clean {device}", wait_s) as store:
            done = pipeline.clean(store, board, older_than_s, everything, wait_s, progress or Silent())
        return Cleaned(done.files, done.bytes)
