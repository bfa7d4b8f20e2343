"""TensorFlow Lite's interpreter, taken out of an installed TensorFlow without importing the rest of it.

The interpreter is one library of 15 MB that loads in milliseconds; `import tensorflow` takes seconds. Its place is
TensorFlow's own business, so where it is not found, or loads no longer, there is no engine here and runtime.py takes
OpenCV's.
"""
import functools
import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np

from config import HEADS, Stage
from detection.quiet import quiet

MODULE = "tensorflow.lite.python._pywrap_tensorflow_interpreter_wrapper"     # the name under which TensorFlow finds it
DEFAULT_OPERATORS = 1                                                        # with XNNPACK; of interpreter.py


def _interpreter(module, model):
    return module.CreateWrapperFromBuffer(model, DEFAULT_OPERATORS, [], [], False, False,
                                          max(cv2.getNumThreads(), 1), False)


@functools.cache
def library():
    """The interpreter's module, or None where there is none that can be used as here."""
    module = _load() if importlib.util.find_spec("flatbuffers") else None      # it comes with TensorFlow
    try:
        _interpreter(module, b"no model")
    except ValueError:                                # its answer to what is no model; another version might say more
        return module
    except (AttributeError, TypeError):
        pass
    return None


def _load():
    """The interpreter's module out of TensorFlow's folder, under the name that TensorFlow gives it; None without it."""
    if MODULE in sys.modules:                              # TensorFlow is loaded: a second copy would clash with it
        return sys.modules[MODULE]
    spec = importlib.util.find_spec("tensorflow")          # imports nothing
    places = [Path(place) / "lite" / "python" for place in spec.submodule_search_locations or ()] if spec else []
    for path in [path for place in places for path in place.glob(f"{MODULE.rpartition('.')[2]}.*")]:
        spec = importlib.util.spec_from_file_location(MODULE, path)
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except (ImportError, AttributeError):              # not a library that this Python can load
            continue
        sys.modules[MODULE] = module
        return module
    return None


class Engine:
    """One net. ImportError where TensorFlow Lite is not there."""

    def __init__(self, stage: Stage, arrays, heads=tuple(HEADS)):
        if library() is None:
            raise ImportError("there is no TensorFlow Lite")
        from detection.engines import lite_graph
        self._model = lite_graph.build(stage, arrays, heads)  # the interpreter does not keep it
        with quiet():                                         # it tells that it has loaded
            self._run = _interpreter(library(), self._model)
            self._run.AllocateTensors()
        self._input, self._output = self._run.InputIndices()[0], self._run.OutputIndices()[0]
        self._shape = None

    def __call__(self, batch):
        """uint8 (N, H, W, 3) -> float32 (N, c), or P-Net's (N, h, w, c)."""
        if batch.shape != self._shape:
            self._run.ResizeInputTensor(self._input, np.array(batch.shape, np.int32), False)
            self._run.AllocateTensors()
            self._shape = batch.shape
        self._run.SetTensor(self._input, np.ascontiguousarray(batch, np.float32))
        self._run.Invoke()
        return self._run.GetTensor(self._output)
