"""ncnn, through pnnx: normalized BGR (3, H, W), one image or crop -> the heads that detection uses, by their names."""
import importlib.util
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from config import PNET, Stage
from detection import UserError
from detection.engines import onnx_graph
from detection.network import INPUT
from export import layouts
from export.targets.savedmodel import Static


def write(stage: Stage, arrays: Mapping[str, np.ndarray], path: Path, static: Static | None = None,
          seen: Sequence[np.ndarray] | None = None) -> None:
    """Writes a .param file and, beside it, a .bin file with float32 weights; P-Net's sizes are always free."""
    heads = layouts.USED[stage.name]
    names = {"in0": INPUT, **{f"out{i}": head for i, head in enumerate(heads)}}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / f"{stage.name}.onnx"
        model.write_bytes(onnx_graph.build(stage, arrays, heads))
        _convert(model, stage)
        layers = model.with_suffix(".ncnn.param").read_text()
        path.write_text(re.sub(r"\b(in|out)\d\b", lambda name: names[name[0]], layers))
        path.with_suffix(".bin").write_bytes(model.with_suffix(".ncnn.bin").read_bytes())


def _convert(model: Path, stage: Stage) -> None:
    """Runs pnnx, a program that its package carries: two shapes of the input, so that what differs stays free."""
    program = Path(importlib.util.find_spec("pnnx").origin).with_name("pnnx")
    other = [1, 3, 40, 62] if stage is PNET else [2, 3, stage.size, stage.size]
    shapes = ("".join(str(shape).split()) for shape in ([1, 3, stage.size, stage.size], other))
    command = [program, model, *(f"{name}={shape}" for name, shape in zip(("inputshape", "inputshape2"), shapes)),
               "fp16=0"]
    done = subprocess.run(command, cwd=model.parent, capture_output=True, text=True)
    if done.returncode or not model.with_suffix(".ncnn.param").exists():
        raise UserError(f"pnnx cannot convert {stage.name}: {(done.stderr or done.stdout).strip()}")
