"""Who may import whom. Change this table before the layers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edgeprof"

BASE = {"errors", "progress", "records"}
SHARED = BASE | {"stats", "suite", "store"}
# part of the package -> parts it may import (itself always)
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "progress": set(),
    "records": {"errors"},
    "stats": BASE,
    "suite": BASE,
    "suite_files": BASE | {"suite"},
    "store": BASE,
    "child": BASE | {"store"},
    "agent": set(),
    "zoo": SHARED,
    "train": SHARED | {"zoo", "child"},
    "export": SHARED | {"zoo", "agent", "child"},
    "target": SHARED | {"agent"},
    "rank": BASE | {"stats"},
    "report": BASE | {"stats"},
    "measure": SHARED | {"target", "agent"},
    "pipeline": SHARED | {"train", "zoo", "export", "target", "measure", "rank", "report"},
    "frames": BASE,
    "api": SHARED | {"pipeline", "rank", "report", "frames", "suite_files"},
    # All that a command does is in the API; rank is pure: the words of orders, limits and facts are its own.
    "cli": BASE | {"api", "rank"},
    "__main__": {"cli"},
    "__init__": {"api"},
}
# heavy package -> the only parts that may import it
HOMES: dict[str, set[str]] = {
    "torch": {"zoo", "train", "export"},
    "torchvision": {"zoo", "train"},
    "timm": {"zoo", "train", "export"},
    "sklearn": {"zoo"},
    "safetensors": {"zoo", "train"},
    "onnx": {"export"},
    "litert_torch": {"export"},
    "accelerate": {"train"},
    "tensorboard": {"train"},
    "nncf": {"export"},
    "ai_edge_quantizer": {"export"},
    "onnxruntime": {"agent", "export"},
    "openvino": {"agent", "export"},
    "ai_edge_litert": {"agent", "export"},
    "tflite_runtime": {"agent"},
    "paramiko": {"target"},
    "jinja2": {"report"},
    "vl_convert": {"report"},
    "pandas": {"frames"},
    "pyarrow": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, wherever in the file; `from edgeprof import x` counts as x."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "edgeprof" else {node.module}
    return found


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_suite" not in path.parts)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    part = part_of(path)
    assert part in MAY_IMPORT, f"{part} is not in the table"
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "edgeprof":
            other = rest.split(".")[0]
            if other in ("__version__", "") or other == part:
                continue
            assert other in MAY_IMPORT[part], f"{part} must not import edgeprof.{other}"
        elif top in HOMES:
            assert part in HOMES[top], f"{top} is imported in {part}; its home is {sorted(HOMES[top])}"


def test_the_agent_has_no_imports_beyond_the_standard_library_numpy_and_a_runtime() -> None:
    allowed = {"numpy", "onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime", *sys.stdlib_module_names}
    for path in files():
        if part_of(path) == "agent":
            assert {name.partition(".")[0] for name in imports(path)} <= allowed, path


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["check"], ["list", "--json"], ["run", "--help"]])
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom edgeprof.cli import main\n"
        f"sys.argv = ['edgeprof', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch','timm','onnx','onnxruntime','openvino','paramiko','scipy','numpy','jinja2','vl_convert',"
        "'pandas','pyarrow'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "HEAVY []" in done.stderr
