"""LiteRT's profiler, which its Python wheel leaves out: the C interface of the wheel's own library.

Written against the headers of LiteRT 2.1.0 to 2.3.0 (litert/c); where they changed it says so. Objects are not
destroyed: the process ends when the profile is made.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from importlib import util
from typing import Any, List, NamedTuple, Sequence, Tuple

from ..runtimes.model import ModelError

MAX_RANK = 8
CPU = 1
LOCK_TO_WRITE = 1
# numpy's name of a type -> LiteRtElementType.
_ELEMENTS = {
    "bool": 6,
    "float16": 10,
    "float32": 1,
    "float64": 11,
    "int16": 7,
    "int32": 2,
    "int64": 4,
    "int8": 9,
    "uint16": 17,
    "uint32": 16,
    "uint64": 13,
    "uint8": 3,
}


class Event(NamedTuple):
    """One profiled call."""

    tag: str
    type: int
    """A bit of LiteRtProfilerEventType."""
    node: int
    """Of the node in the graph, or of the operator in its part of the delegate."""
    us: int


class TensorType(NamedTuple):
    """Of an input or output, by its name in the file."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    resized: bool
    """Whether the shape is not the file's own."""


class _Layout(ctypes.Structure):
    _fields_ = [
        ("rank_and_strides", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * MAX_RANK),
        ("strides", ctypes.c_uint32 * MAX_RANK),
    ]


class _RankedTensorType(ctypes.Structure):
    _fields_ = [("element_type", ctypes.c_int), ("layout", _Layout)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("metadata1", ctypes.c_uint64),
        ("metadata2", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


class Session:
    """A file compiled by LiteRT for the processor, with its profiler.

    Args:
        version: of ai-edge-litert.
        delegate: whether XNNPACK takes what it can.
        inputs, outputs: the tensors of the file with the shapes to run with.

    Raises:
        ModelError: this version's interface is not known, or it refuses; with the name of the function that did.
    """

    def __init__(
        self,
        version: str,
        path: str,
        threads: int,
        delegate: bool,
        inputs: Sequence[TensorType],
        outputs: Sequence[TensorType],
    ) -> None:
        self._version = known_version(version)
        self._library = ctypes.CDLL(_library())
        environment, model, self._compiled, self._profiler = (ctypes.c_void_p() for _ in range(4))
        self._call("LiteRtCreateEnvironment", 0, None, ctypes.byref(environment))
        # Since 2.1.6 a model belongs to an environment.
        owner = (environment,) if self._version >= (2, 1, 6) else ()
        self._call("LiteRtCreateModelFromFile", *owner, os.fsencode(path), ctypes.byref(model))
        options = self._options(threads, delegate)
        self._call("LiteRtCreateCompiledModel", environment, model, options, ctypes.byref(self._compiled))
        self._call("LiteRtCompiledModelGetProfiler", self._compiled, ctypes.byref(self._profiler))
        self._tensors = inputs
        self._resize(inputs, len(outputs))
        # A signature keeps the order of its graph, whatever the order in the file.
        self._inputs = self._buffers(environment, "Input", inputs)
        self._outputs = self._buffers(environment, "Output", outputs)

    def run(self, feed: Sequence[Any]) -> Tuple[int, List[Event]]:
        """One inference: the nanoseconds of the call, and what the profiler saw.

        Args:
            feed: C-contiguous arrays in the order of `inputs`.
        """
        for tensor, array, buffer in zip(self._tensors, feed, self._inputs):
            where = ctypes.c_void_p()
            if (tensor.dtype, tensor.shape) != (array.dtype.name, array.shape):  # it would write past the buffer
                raise ModelError("input %s takes %s %s" % (tensor.name, tensor.dtype, list(tensor.shape)))
            self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(where), LOCK_TO_WRITE)
            ctypes.memmove(where, array.ctypes.data, array.nbytes)
            self._call("LiteRtUnlockTensorBuffer", buffer)
        ins, outs = (
            (ctypes.c_void_p * len(some))(*(one.value for one in some)) for some in (self._inputs, self._outputs)
        )
        counts = ctypes.c_size_t(len(ins)), ctypes.c_size_t(len(outs))
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        begin = time.perf_counter_ns()
        self._call("LiteRtRunCompiledModel", self._compiled, ctypes.c_size_t(0), counts[0], ins, counts[1], outs)
        took = time.perf_counter_ns() - begin
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        told = [Event(one.tag.decode("utf-8", "replace"), one.type, one.metadata1, one.elapsed_us) for one in events]
        return took, told

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name)
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status:
            raise ModelError("%s of LiteRT failed with status %d" % (name, status))

    def _options(self, threads: int, delegate: bool) -> ctypes.c_void_p:
        options = ctypes.c_void_p()
        self._call("LiteRtCreateOptions", ctypes.byref(options))
        self._call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        if self._version >= (2, 1, 3):
            cpu = "num_threads = %d\n" % threads
            if not delegate:
                if self._version < (2, 1, 4):
                    raise ModelError("per-operator times without a delegate need ai-edge-litert 2.1.4 or newer")
                cpu += 'kernel_mode = "builtin"\n'
            self._add(options, "runtime_options_string", "enable_profiling = true\n")
            self._add(options, "xnnpack", cpu)
            return options
        if not delegate:
            raise ModelError("per-operator times without a delegate need ai-edge-litert 2.1.4 or newer")
        self._add_typed(options, "Runtime", "EnableProfiling", ctypes.c_bool(True))
        self._add_typed(options, "Cpu", "NumThread", ctypes.c_int(threads))
        return options

    def _add(self, options: ctypes.c_void_p, identifier: str, toml: str) -> None:
        """Since 2.1.3 an option group is its identifier and a text in TOML, which LiteRT frees."""
        libc, group = ctypes.CDLL(None), ctypes.c_void_p()
        libc.strdup.restype, libc.strdup.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        text, free = ctypes.c_void_p(libc.strdup(toml.encode())), ctypes.cast(libc.free, ctypes.c_void_p)
        self._call("LiteRtCreateOpaqueOptions", identifier.encode(), text, free, ctypes.byref(group))
        self._call("LiteRtAddOpaqueOptions", options, group)

    def _add_typed(self, options: ctypes.c_void_p, group: str, name: str, value: Any) -> None:
        """Before 2.1.3 an option group was an object with a function for each option."""
        opaque, found = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("LiteRtCreate%sOptions" % group, ctypes.byref(opaque))
        self._call("LiteRtFind%sOptions" % group, opaque, ctypes.byref(found))
        self._call("LiteRtSet%sOptions%s" % (group, name), found, value)
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _resize(self, inputs: Sequence[TensorType], outputs: int) -> None:
        for number, one in enumerate(inputs):
            if one.resized:
                dims, size = (ctypes.c_int * len(one.shape))(*one.shape), ctypes.c_size_t(len(one.shape))
                places = ctypes.c_size_t(0), ctypes.c_size_t(number)
                self._call("LiteRtCompiledModelResizeInputTensor", self._compiled, *places, dims, size)
        if any(one.resized for one in inputs):
            # Has it lay out the tensors anew; what it tells is known already.
            layouts, places = (_Layout * outputs)(), (ctypes.c_size_t(0), ctypes.c_size_t(outputs))
            call = "LiteRtGetCompiledModelOutputTensorLayouts"
            self._call(call, self._compiled, *places, layouts, ctypes.c_bool(True))

    def _buffers(self, environment: ctypes.c_void_p, side: str, tensors: Sequence[TensorType]) -> List[ctypes.c_void_p]:
        buffers = []
        for number, tensor in enumerate(tensors):
            kind, requirements, buffer = _RankedTensorType(), ctypes.c_void_p(), ctypes.c_void_p()
            if tensor.dtype not in _ELEMENTS or len(tensor.shape) > MAX_RANK:
                raise ModelError(
                    "%s cannot be profiled: %s of rank %d" % (tensor.name, tensor.dtype, len(tensor.shape))
                )
            kind.element_type, kind.layout.rank_and_strides = _ELEMENTS[tensor.dtype], len(tensor.shape)
            kind.layout.dimensions[: len(tensor.shape)] = list(tensor.shape)
            places = ctypes.c_size_t(0), ctypes.c_size_t(number)
            call = "LiteRtGetCompiledModel%sBufferRequirements" % side
            self._call(call, self._compiled, *places, ctypes.byref(requirements))
            make = "LiteRtCreateManagedTensorBufferFromRequirements"
            self._call(make, environment, ctypes.byref(kind), requirements, ctypes.byref(buffer))
            buffers.append(buffer)
        return buffers


def known_version(version: str) -> Tuple[int, ...]:
    """The version as numbers.

    Raises:
        ModelError: it is not one whose interface is known.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not (2, 1) <= numbers < (3,):
        raise ModelError(NEEDED % ("ai-edge-litert " + version))
    return numbers


NEEDED = "per-operator times of TFLite need ai-edge-litert 2.1 or newer, below 3; here is %s"


def _library() -> str:
    found = util.find_spec("ai_edge_litert")
    folder = os.path.dirname(found.origin) if found and found.origin else ""
    path = os.path.join(folder, "libLiteRt.so")
    if not os.path.isfile(path):
        raise ModelError("this package of ai-edge-litert has no libLiteRt.so, which profiles")
    return path
