"""LiteRT's interpreter as the engine, from an installed ai-edge-litert or TensorFlow, without importing either of them.

The interpreter is one library of 15 MB that loads in milliseconds; `import tensorflow` takes seconds. Where the library
lies is internal to these packages: where it is not found or does not load, another engine is taken (net.py).
"""
import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from config import HEADS, Stage
from detection import network
from detection.engines.pool import InterpreterPool
from detection.quiet import quiet
from detection.types import Arrays, Floats, Image

LIBRARIES = ("tensorflow.lite.python._pywrap_tensorflow_interpreter_wrapper",     # the names under which the packages
             "ai_edge_litert._pywrap_litert_interpreter_wrapper")                 # load it; the first found is taken
DEFAULT_OPERATORS = 1                                                             # with XNNPACK; of interpreter.py
FURTHER = (0, 3)                   # options, all False, that TensorFlow 2.21 and ai-edge-litert 2.3 ask for at the end

Make = Callable[[bytes], Any]


@functools.cache
def maker() -> Make | None:
    """Makes an interpreter of a model; None where no library with an interface that is known here is installed."""
    if importlib.util.find_spec("flatbuffers") is None:                           # lite_graph.py needs it
        return None
    for module in _libraries():
        for further in FURTHER:
            make = functools.partial(_interpreter, module, further)
            try:
                make(b"no model")
            except ValueError:      # the answer of the known interface to bytes that are no model
                return make
            except (AttributeError, TypeError):
                continue
    return None


def _interpreter(module: Any, further: int, model: bytes) -> Any:
    return module.CreateWrapperFromBuffer(model, DEFAULT_OPERATORS, [], [], False, False,
                                          max(cv2.getNumThreads(), 1), False, *[False] * further)


def _libraries() -> Iterator[ModuleType]:
    """The modules that are installed and load, under the names that their packages give them."""
    for name in LIBRARIES:
        if name in sys.modules:                            # its package is imported: a second copy would clash with it
            yield sys.modules[name]
            continue
        package, *folders, file = name.split(".")
        spec = importlib.util.find_spec(package)           # imports nothing
        places = [Path(place).joinpath(*folders) for place in spec.submodule_search_locations or ()] if spec else []
        for path in [path for place in places for path in place.glob(f"{file}.*")]:
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:        # not a library by its name
                continue
            try:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
            except (ImportError, AttributeError):          # not a library that this Python can load
                continue
            sys.modules[name] = module
            yield module


class _Interpreter:
    """An interpreter of a model and the shape of the batches that it is prepared for; for one thread at a time."""

    def __init__(self, make: Make, model: bytes):
        with quiet():                                         # it reports that it has loaded
            self._run = make(model)
            self._run.AllocateTensors()
        self._index, self._output = self._run.InputIndices()[0], self._run.OutputIndices()[0]
        self._input = np.empty(0, np.float32)                 # its memory, of the shape that it is prepared for

    def __call__(self, batch: Image) -> Floats:
        """As Engine's."""
        if batch.shape != self._input.shape:
            self._run.ResizeInputTensor(self._index, np.array(batch.shape, np.int32), False)
            self._run.AllocateTensors()
            self._input = self._run.tensor(self._run, self._index, 0)
        self._input[:] = batch
        self._run.Invoke()
        return self._run.GetTensor(self._output)


class Engine:
    """One net in LiteRT, for any number of threads. ImportError where neither of its packages is installed."""

    def __init__(self, stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)):
        make = maker()
        if make is None:
            raise ImportError("neither ai-edge-litert nor TensorFlow is installed, or flatbuffers is missing")
        from detection.engines import lite_graph
        self.batch = network.crops_per_call(stage)
        self._model = lite_graph.build(stage, arrays, heads)  # the interpreters do not keep it
        self._interpreters = InterpreterPool(lambda: _Interpreter(make, self._model))

    def __call__(self, batch: Image) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, c), or maps (N, h, w, c) of a fully convolutional net."""
        with self._interpreters.borrow() as run:
            return run(batch)
