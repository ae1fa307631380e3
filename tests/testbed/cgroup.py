"""Limits of a group of processes, by whichever version of control groups this machine has."""

from __future__ import annotations

from pathlib import Path

from process_tools import await_value

MOUNT = Path("/sys/fs/cgroup")


class Cgroup:
    """A group with a share of a core and an amount of memory; whoever needs more memory is killed."""

    def __init__(self, name: str, cpu_percent: int | None, memory_mib: int | None) -> None:
        self.folders: list[Path] = []
        v2 = (MOUNT / "cgroup.controllers").exists()
        wanted = {"cpu": cpu_percent, "memory": memory_mib}
        for controller in [one for one, value in wanted.items() if value]:
            folder = (MOUNT if v2 else MOUNT / controller) / name
            if v2:
                (MOUNT / "cgroup.subtree_control").write_text(f"+{controller}")
            folder.mkdir(exist_ok=True)
            if folder not in self.folders:
                self.folders.append(folder)
        memory = (memory_mib or 0) << 20
        if v2:
            limits = {"cpu.max": f"{(cpu_percent or 0) * 1000} 100000", "memory.max": str(memory)}
        else:
            limits = {"cpu.cfs_quota_us": str((cpu_percent or 0) * 1000), "memory.limit_in_bytes": str(memory)}
        for file, limit in limits.items():
            controller = file.split(".")[0]
            if wanted[controller]:
                ((MOUNT if v2 else MOUNT / controller) / name / file).write_text(limit)

    def words(self, words: list[str]) -> list[str]:
        """The command line that runs `words` in the group."""
        enter = "".join(f"echo $$ > {folder}/cgroup.procs && " for folder in self.folders)
        return ["sh", "-c", f'{enter}exec "$@"', "sh", *words]

    def remove(self) -> None:
        """When its processes have ended."""
        for folder in self.folders:
            await_value(lambda folder=folder: True if _removed(folder) else None)  # type: ignore[misc]


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
