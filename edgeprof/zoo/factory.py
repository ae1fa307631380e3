"""Models that a user's own function makes: the name `factory:package.module:function`.

The module is looked for in the current folder first, then where Python looks. Its code runs: that was asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.errors import TrainError, UsageError, nearest

if TYPE_CHECKING:
    from torch import nn

PREFIX = "factory:"
_NAME = re.compile(r"factory:(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<function>[A-Za-z_]\w*)")
_WHERE = "it is looked for in the current folder, then where Python looks (PYTHONPATH)"


def is_factory(name: str) -> bool:
    """Whether this is the name of a factory."""
    return name.startswith(PREFIX)


def check(name: str) -> None:
    """Check that the function can be imported.

    Raises:
        UsageError: the name is of another form, or there is no such module or function.
        TrainError: the module raises while it is imported.
    """
    with _here():
        _function(name)


def make(name: str, num_classes: int) -> nn.Module:
    """The module that the function gives; it gets `num_classes` if it takes an argument of that name.

    Raises:
        UsageError: there is no such function.
        TrainError: it raises, or gives no module.
    """
    from edgeprof.zoo.torchvision_ops import import_torch

    torch = import_torch()
    with _here():
        function = _function(name)
        given = {"num_classes": num_classes} if _takes(function, "num_classes") else {}
        module = _calling(name, "the factory", function, **given)
    if not isinstance(module, torch.nn.Module):
        raise TrainError(
            f"the factory gave {type(module).__name__!r}, not a torch.nn.Module",
            where=name,
            hint="return the module itself; its weights are loaded from the checkpoint",
        )
    return module


def source_sha(name: str) -> str:
    """sha256 of the file that holds the function, without running it; what that file imports does not count.

    Raises:
        UsageError: there is no such file.
    """
    module, _ = _parts(name)
    path: list[str] | None = [os.getcwd(), *sys.path]
    spec: ModuleSpec | None = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            break
        path = list(spec.submodule_search_locations or ())
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise UsageError(f"there is no module {module!r}", where=name, hint=_WHERE)
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def _parts(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise UsageError(f"{name.removeprefix(PREFIX)!r} is no factory", hint="wanted: package.module:function")
    return found["module"], found["function"]


def _function(name: str) -> Any:
    module_name, function = _parts(name)
    try:
        module = _calling(name, f"importing {module_name}", importlib.import_module, module_name)
    except TrainError as error:
        cause = error.__cause__
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if missing and (module_name == missing or module_name.startswith(f"{missing}.")):
            raise UsageError(f"there is no module {missing!r}", where=name, hint=_WHERE) from error
        raise
    found = getattr(module, function, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if inspect.isfunction(value) or inspect.isclass(value)]
        what = "is nothing that can be called" if found is not None else "is not there"
        raise UsageError(f"{function!r} {what}", where=str(module.__file__), hint=nearest(function, known) or None)
    return found


def _calling(name: str, what: str, function: Any, *args: Any, **given: Any) -> Any:
    """Call the user's code: whatever it raises becomes an error with its words, and what it prints goes to stderr."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return function(*args, **given)
    except (Exception, SystemExit) as error:
        words = (str(error).strip() or "without words").splitlines()[0][:300]
        raise TrainError(f"{what} raised {type(error).__name__}: {words}{_line(error)}", where=name) from error


def _line(error: BaseException) -> str:
    """Where in the user's code it was raised."""
    trace = error.__traceback__
    last = None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(os.getcwd() + os.sep) and "site-packages" not in file:
            last = f" ({os.path.relpath(file)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return last or ""


def _takes(function: Any, argument: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(one.name == argument or one.kind is one.VAR_KEYWORD for one in parameters)


@contextlib.contextmanager
def _here() -> Iterator[None]:
    """The current folder is looked at first, for as long as the user's code runs and no longer."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
