"""Converts weights of other MTCNN projects into this one's form, to compare with or for a warm start (--init-from).

reads    SOURCE: a folder with TensorFlow 1 checkpoints of AITTSMD/MTCNN-Tensorflow or LeslieZhoa/tensorflow-MTCNN
         (in it or in folders below it; of several steps of one net the last), or with pnet.lz4, rnet.lz4, onet.lz4 of
         the package `mtcnn`; or the word mtcnn: the authors' weights, from that package where it is installed
writes   <out>/pnet.npz, rnet.npz, onet.npz

Both baselines feed BGR, as this project does; the authors' weights are converted from RGB. Nothing in a file is
executed: a .lz4 file is a pickle, and is refused if it holds anything but plain arrays.
"""
import argparse
import importlib.util
import pickle
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import CASCADE
from detection import UserError, weights
from detection.align import require_facial_points
from detection.errors import run_main
from export import layouts
from export.packages import optional


def checkpoints(folder: Path) -> dict[Path, int]:
    """Folder -> {checkpoint path without ending: its step}."""
    found = {}
    for index in sorted(Path(folder).rglob("*.index")):
        step = re.search(r"-(\d+)$", index.stem)
        found[index.with_suffix("")] = int(step.group(1)) if step else 0
    return found


def read_tf1(path: Path) -> dict[str, np.ndarray]:
    """Checkpoint path without ending -> name -> array of all its variables."""
    from detection.quiet_tensorflow import tf
    try:
        reader = tf.train.load_checkpoint(str(path))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        raise UserError(f"{path}: is not a complete TensorFlow checkpoint ({str(error).splitlines()[0]}); fetch its "
                        ".index and .data files again") from None


def from_checkpoints(folder: Path) -> dict[str, tuple]:
    """Folder -> {name: (path, arrays)} of the nets whose checkpoints are in it or below it."""
    nets = {}
    for path, _ in sorted(checkpoints(folder).items(), key=lambda item: item[1]):     # the last one is kept
        variables = read_tf1(path)
        for stage in CASCADE:
            arrays = layouts.from_tf1(stage, variables)
            if {name: array.shape for name, array in arrays.items()} == weights.shapes(stage):
                nets[stage.name] = path, arrays
    return nets


def read_lz4(path: Path) -> list[np.ndarray]:
    """A weights file of the package `mtcnn` -> its list of arrays. The pickle in it may name arrays, nothing else."""
    numpy_pickle, frame = optional("joblib.numpy_pickle", str(path)), optional("lz4.frame", str(path))

    class Array(numpy_pickle.NumpyArrayWrapper):
        def read_array(self, unpickler, ensure_native_byte_order):
            if self.dtype.hasobject:
                raise pickle.UnpicklingError("an array of Python objects")
            return super().read_array(unpickler, ensure_native_byte_order)

    allowed = {("joblib.numpy_pickle", "NumpyArrayWrapper"): Array, ("numpy", "ndarray"): np.ndarray,
               ("numpy", "dtype"): np.dtype}

    class Reader(numpy_pickle.NumpyUnpickler):
        def find_class(self, module, name):
            if (module, name) not in allowed:
                raise pickle.UnpicklingError(f"{module}.{name}")
            return allowed[module, name]

    try:
        with frame.open(path) as file:
            arrays = Reader(str(path), file, ensure_native_byte_order=True).load()
        if not isinstance(arrays, list) or not all(isinstance(array, np.ndarray) for array in arrays):
            raise pickle.UnpicklingError(f"a value of type {type(arrays).__name__}, or something else in a list")
        return arrays
    except (OSError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError,
            pickle.UnpicklingError) as error:
        raise UserError(f"{path}: is not a list of plain arrays, compressed with lz4 ({error}); use the file that the "
                        "package mtcnn carries or that export/export.py writes") from None


def from_mtcnn(folder: Path) -> dict[str, tuple]:
    """Folder -> {name: (path, arrays)} from pnet.lz4, rnet.lz4, onet.lz4."""
    nets = {}
    for stage in CASCADE:
        path = Path(folder) / f"{stage.name}.lz4"
        if path.is_file():
            try:
                nets[stage.name] = path, layouts.from_mtcnn(stage, read_lz4(path))
            except ValueError as error:
                raise UserError(f"{path}: {error}; give each net its own file") from None
    return nets


def main(args):
    require_facial_points(args.source)
    folder = Path(args.source)
    if args.source == "mtcnn" and not folder.exists():
        package = importlib.util.find_spec("mtcnn")
        if package is None:
            raise UserError("the Python package mtcnn is not installed; `pip install -r requirements-export.txt` "
                            "brings it, or name a folder with weights")
        folder = Path(package.submodule_search_locations[0]) / "assets" / "weights"
    nets = from_mtcnn(folder) or from_checkpoints(folder)
    missing = [stage.name for stage in CASCADE if stage.name not in nets]
    if missing:
        raise UserError(f"{folder}: holds no weights of {', '.join(missing)}; name the folder above all three nets' "
                        "checkpoints (.index and .data files) or .lz4 files")
    for stage in CASCADE:
        path, arrays = nets[stage.name]
        weights.check(path, arrays, stage)
        target = args.out / f"{stage.name}.npz"
        weights.write_arrays(target, arrays)
        print(f"{target}: from {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE", help="a folder, or mtcnn")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the three .npz files")
    run_main(main, parser.parse_args(), stopped="stopped; the finished files are complete")
