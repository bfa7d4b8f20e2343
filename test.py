"""Finds faces in pictures: draws boxes, scores and the five points, or writes them as JSON.

usage    python test.py                     the pictures in picture/
         python test.py PATH [PATH ...]     files, and folders with all that is in them
reads    the pictures; model/pnet.npz, rnet.npz, onet.npz
writes   <output>/<name>, one drawn copy a picture; a folder's pictures keep their place below it
"""
import argparse
import json
import sys
from pathlib import Path

import cv2
from tqdm import tqdm

from config import CASCADE, MIN_FACE_SIZE, MODEL, OUTPUT, PICTURE, PYRAMID_FACTOR
from detection import Detector, UserError
from detection.draw import draw
from detection.images import EXTENSIONS, read


def find_pictures(paths):
    """Files and folders -> sorted (file, its path relative to the folder that was named); UserError for none."""
    pictures = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
            pictures += [(p, p.relative_to(path)) for p in inside]
        elif path.is_file():
            pictures.append((path, Path(path.name)))
        else:
            raise UserError(f"{path}: no such file or folder")
    if not pictures:
        raise UserError(f"{', '.join(map(str, paths))}: no picture there; known are {', '.join(sorted(EXTENSIONS))}")
    return pictures


def as_json(faces):
    """Faces -> the list that --json writes for one picture."""
    return [{"box": [round(float(v), 2) for v in box], "score": round(float(score), 5),
             "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in points]}
            for box, score, points in zip(faces.boxes, faces.scores, faces.landmarks)]


def save(image, path):
    """Writes a picture, in a format that OpenCV knows by its name; UserError where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, image)
    if not ok:
        raise UserError(f"{path}: OpenCV cannot write this format")
    try:
        data.tofile(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def main(args):
    pictures = find_pictures(args.paths)
    try:
        detector = Detector(args.model, args.min_face, args.thresholds, args.factor)
    except ValueError as error:
        raise UserError(str(error)) from None
    results, bad = {}, []
    for path, relative in tqdm(pictures, unit=" picture", disable=len(pictures) < 10):
        try:
            image = read(path)
        except UserError as error:
            bad.append(str(error))
            continue
        faces = detector.detect(image)
        results[relative.as_posix()] = as_json(faces)
        if not args.no_draw:
            save(draw(image, faces), args.output / relative)
        if len(pictures) < 10:
            print(f"{path}: {len(faces)} {'face' if len(faces) == 1 else 'faces'}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    found = sum(map(len, results.values()))
    print(f"{found} faces in {len(results)} of {len(pictures)} pictures" +
          ("" if args.no_draw else f"; drawn in {args.output}") + (f"; written to {args.json}" if args.json else ""))
    for message in bad:
        print(f"skipped: {message}", file=sys.stderr)
    if not results:
        raise UserError("none of the pictures could be read")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[PICTURE], metavar="PATH", help="picture or folder")
    parser.add_argument("--min-face", type=float, default=MIN_FACE_SIZE, metavar="PX",
                        help=f"smallest face looked for (default: {MIN_FACE_SIZE}); larger is faster")
    parser.add_argument("--thresholds", type=float, nargs=3, metavar=("P", "R", "O"),
                        help="of the face score after each net, 0 to 1 (default: "
                             f"{' '.join(str(s.threshold) for s in CASCADE)})")
    parser.add_argument("--factor", type=float, default=PYRAMID_FACTOR,
                        help=f"from one pyramid level to the next (default: {PYRAMID_FACTOR})")
    parser.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="weights (default: model/)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="default: output/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write boxes, scores and points to this file")
    parser.add_argument("--no-draw", action="store_true", help="draw nothing")
    return parser.parse_args()


if __name__ == "__main__":     # also keeps this file harmless to those who import the standard library's `test`
    try:
        main(parse())
    except UserError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
