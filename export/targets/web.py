"""A page that detects faces in the browser: a folder for any static server, without connections to anywhere else."""
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from config import ROOT
from detection import UserError
from detection.types import Arrays
from export.cascade_graph import OUTPUTS
from export.targets import detector_onnx

PAGE = ROOT / "export" / "web"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")      # of onnxruntime-web


def write(arrays: Mapping[str, Arrays], path: Path, rgb: bool = False) -> None:
    """Writes a folder. The page gives the detector RGB images, whatever `rgb` says."""
    path.mkdir()
    for name in ("index.html", "worker.mjs"):
        shutil.copy(PAGE / name, path)
    (path / "detector.onnx").write_bytes(detector_onnx.build(arrays, rgb=True, outputs=tuple(OUTPUTS)))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PAGE / name, folder)
        _install(folder)
        for name in RUNTIME:
            shutil.copy(Path(folder) / "node_modules" / "onnxruntime-web" / "dist" / name, path)


def _install(folder: str) -> None:
    """The package of package-lock.json, in the version and with the checksum that stand there."""
    try:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True,
                       capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("the format web needs npm, which brings onnxruntime-web; install Node.js") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"npm cannot install onnxruntime-web: {error.stderr.strip()}") from None
