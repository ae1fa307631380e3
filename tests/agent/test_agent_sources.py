"""The agent's sources run where the board's Python is old, and alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import edgeprof.agent

ROOT = Path(edgeprof.agent.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_is_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    # Annotations such as `int | None` are legal syntax, but only unevaluated ones work on 3.8.
    first = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert len(tree.body) == 1 or first[0].module == "__future__"
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Attribute) and node.attr in {"removeprefix", "removesuffix", "pairwise"})
        assert not (isinstance(node, ast.keyword) and node.arg == "strict"), "zip(strict=) is 3.10"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_never_names_the_package_it_lies_in(path: Path) -> None:
    """On a board it is no longer edgeprof.agent."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        assert not any(name.split(".")[0] == "edgeprof" for name in names)
