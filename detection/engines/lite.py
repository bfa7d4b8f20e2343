"""TensorFlow Lite's interpreter as the engine, loaded from an installed TensorFlow without importing TensorFlow.

The interpreter is one library of 15 MB that loads in milliseconds; `import tensorflow` takes seconds. Where the library
lies is internal to TensorFlow: where it is not found or does not load, OpenCV is the engine (net.py).
"""
import functools
import importlib.util
import sys
from collections.abc import Sequence
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

MODULE = "tensorflow.lite.python._pywrap_tensorflow_interpreter_wrapper"     # the name under which TensorFlow loads it
DEFAULT_OPERATORS = 1                                                        # with XNNPACK; of its interpreter.py


def _interpreter(module: Any, model: bytes) -> Any:
    return module.CreateWrapperFromBuffer(model, DEFAULT_OPERATORS, [], [], False, False,
                                          max(cv2.getNumThreads(), 1), False)


@functools.cache
def library() -> Any | None:
    """The interpreter's module, or None where there is none with the interface that is used here."""
    module = _load() if importlib.util.find_spec("flatbuffers") else None      # it comes with TensorFlow
    try:
        _interpreter(module, b"no model")
    except ValueError:              # the answer of the known interface to bytes that are no model
        return module
    except (AttributeError, TypeError):
        pass
    return None


def _load() -> ModuleType | None:
    """The interpreter's module from TensorFlow's folder, under the name that TensorFlow gives it; None without it."""
    if MODULE in sys.modules:                              # TensorFlow is loaded: a second copy would clash with it
        return sys.modules[MODULE]
    spec = importlib.util.find_spec("tensorflow")          # imports nothing
    folders = [Path(place) / "lite" / "python" for place in spec.submodule_search_locations or ()] if spec else []
    for path in [path for folder in folders for path in folder.glob(f"{MODULE.rpartition('.')[2]}.*")]:
        spec = importlib.util.spec_from_file_location(MODULE, path)
        if spec is None or spec.loader is None:            # not a library by its name
            continue
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except (ImportError, AttributeError):              # not a library that this Python can load
            continue
        sys.modules[MODULE] = module
        return module
    return None


class _Interpreter:
    """An interpreter of a model and the shape of the batches that it is prepared for; for one thread at a time."""

    def __init__(self, model: bytes):
        with quiet():                                         # it reports that it has loaded
            self._run = _interpreter(library(), model)
            self._run.AllocateTensors()
        self._input, self._output = self._run.InputIndices()[0], self._run.OutputIndices()[0]
        self._shape = None

    def __call__(self, batch: Image) -> Floats:
        """As Engine's."""
        if batch.shape != self._shape:
            self._run.ResizeInputTensor(self._input, np.array(batch.shape, np.int32), False)
            self._run.AllocateTensors()
            self._shape = batch.shape
        self._run.SetTensor(self._input, np.ascontiguousarray(batch, np.float32))
        self._run.Invoke()
        return self._run.GetTensor(self._output)


class Engine:
    """One net in TensorFlow Lite, for any number of threads. ImportError where TensorFlow Lite is not installed."""

    def __init__(self, stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS)):
        if library() is None:
            raise ImportError("there is no TensorFlow Lite")
        from detection.engines import lite_graph
        self.batch = network.crops_per_call(stage)
        self._model = lite_graph.build(stage, arrays, heads)  # the interpreters do not keep it
        self._interpreters = InterpreterPool(lambda: _Interpreter(self._model))

    def __call__(self, batch: Image) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, c), or maps (N, h, w, c) of a fully convolutional net."""
        with self._interpreters.borrow() as run:
            return run(batch)
