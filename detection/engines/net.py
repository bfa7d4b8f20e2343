"""One net on batches of uint8 crops, in any engine: what the cascade is made of."""
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from config import HEADS, Stage
from detection import weights
from detection.engines import folded, lite, opencv, openvino
from detection.errors import UserError
from detection.types import Arrays, Floats, Image


class Engine(Protocol):
    """Runs one net, folded as by folded.py, in any number of threads. Made from (stage, arrays, names of heads)."""
    batch: int      # crops in one call at which it is fastest

    def __call__(self, batch: Image) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, c), or maps (N, h, w, c) of a fully convolutional net."""
        ...


MakeEngine = Callable[[Stage, Arrays, Sequence[str]], Engine]


class CascadeNet(Protocol):
    """What `Detector` needs of a net; P-Net runs on images, R-Net and O-Net on crops."""

    def maps(self, image: Image) -> Sequence[Floats]:
        """One image, uint8 (H, W, 3) -> for each head its map (h, w, c)."""
        ...

    def __call__(self, crops: Image) -> Sequence[Floats]:
        """uint8 (N, size, size, 3) -> for each head float32 (N, c); "face" is the probability of (no face, face)."""
        ...


NAMED: dict[str, MakeEngine] = {"litert": lite.Engine, "opencv": opencv.Engine, "openvino": openvino.Engine,
                                "openvino-bfloat16": openvino.Reduced}


def fastest() -> MakeEngine:
    """The fastest engine that is installed and loses nothing: LiteRT's, else OpenCV's."""
    return lite.Engine if lite.maker() else opencv.Engine


def named(name: str) -> MakeEngine:
    """The engine of this name; UserError where there is none, or it is not installed."""
    if name not in NAMED:
        raise UserError(f"there is no engine {name}; choose one of {', '.join(NAMED)}")
    if name == "litert" and not lite.maker():
        raise UserError("the engine litert needs the Python packages ai-edge-litert and flatbuffers; install them with "
                        "`pip install -r requirements-detect.txt`, or choose another engine")
    if name.startswith("openvino") and not openvino.installed():
        raise UserError(f"the engine {name} needs the Python package openvino; install it with `pip install openvino`, "
                        "or choose another engine")
    return NAMED[name]


class Net:
    """A CascadeNet in an engine (default: the fastest). Computes the named heads only."""

    def __init__(self, stage: Stage, arrays: Arrays, heads: Sequence[str] = tuple(HEADS),
                 engine: MakeEngine | None = None):
        self._made_from = stage, arrays, heads, engine
        self.heads = tuple(heads)
        self._columns = folded.columns_of(heads)
        self._engine = (engine or fastest())(stage, arrays, heads)

    def __reduce__(self):
        """Copied and pickled as what it was made from: interpreters cannot be, and the other side may have others."""
        return type(self), self._made_from

    @classmethod
    def load(cls, folder: Path | str, stage: Stage, heads: Sequence[str] = tuple(HEADS),
             engine: MakeEngine | None = None) -> "Net":
        """The net with the weights <folder>/<stage.name>.npz, without the landmark head where it was trained without;
        UserError if the file is missing or of another net."""
        arrays = weights.read(Path(folder) / f"{stage.name}.npz", stage)
        trained = [head for head in heads if head != "landmark" or weights.have_landmarks(arrays)]
        return cls(stage, arrays, trained, engine)

    def maps(self, image: Image) -> list[Floats]:
        """P-Net on one image, uint8 (H, W, 3) -> for each head its map (h, w, c)."""
        return [maps[0] for maps in self._split(self._engine(image[None]))]

    def __call__(self, crops: Image) -> list[Floats]:
        """uint8 (N, size, size, 3) -> for each head float32 (N, c)."""
        step = self._engine.batch
        parts = [self._engine(crops[i:i + step]) for i in range(0, len(crops), step)]
        if not parts:
            return [np.zeros((0, HEADS[head]), np.float32) for head in self._columns]
        return self._split(np.concatenate(parts).reshape(len(crops), -1))

    def _split(self, outputs: Floats) -> list[Floats]:
        """Outputs (N, ..., c) -> for each head its (N, ..., c), the logit of the face score as two probabilities."""
        arrays = []
        for head, columns in self._columns.items():
            array = outputs[..., columns]
            if head == "face":
                score = 1 / (1 + np.exp(-array))
                array = np.concatenate([1 - score, score], axis=-1)
            arrays.append(array)
        return arrays
