"""Where the time of one detection goes: each part of the cascade alone, on the images of bench/detection.py.

reads    picture/, from which it makes its images; model/
prints   a Markdown table of milliseconds, medians; the parts of a row are timed by turns. "rest" is the time of the
         whole beyond its parts: decoding of boxes, voting, Python

    python bench/parts.py                                                    # 20 s
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import detectors, measure
from config import CASCADE, MODEL
from detection import Detector, images, pyramid
from detection import boxes as bx
from pipeline import tables

PARTS = ("halving", "packing", "P-Net", "its cells", "crops 24", "R-Net", "NMS", "crops 48", "O-Net", "rest")


def parts(detector, image):
    """Name of a part -> function that does it on the results of the parts before it, numbers of R-Net's and O-Net's
    crops."""
    layout = pyramid.layout(*image.shape[:2], detector.min_face_size, detector.factor)
    halved = detector._scales(image)
    pixels = pyramid.pack(halved, layout)
    proposed, refined, _ = detector.trace(image)
    windows = [bx.windows(faces.boxes) for faces in (proposed, refined)]
    crops = [images.crop_scaled(halved, w, stage.size) for w, stage in zip(windows, CASCADE[1:])]
    passed = detector.nets[1](crops[0])
    kept = passed[0][:, 1] >= detector.limits(1, detector.octaves(windows[0]))
    boxes, scores = bx.decode(passed[1][kept], windows[0][kept]), passed[0][kept, 1]
    return {"all": lambda: detector.detect(image), "halving": lambda: detector._scales(image),
            "packing": lambda: pyramid.pack(halved, layout),
            "P-Net": lambda: [detector.nets[0].maps(pixels[top:bottom]) for top, bottom in layout.strips()],
            "proposing": lambda: detector.propose(image),
            "crops 24": lambda: images.crop_scaled(halved, windows[0], CASCADE[1].size),
            "R-Net": lambda: detector.nets[1](crops[0]),
            "NMS": lambda: bx.nms(boxes, scores, CASCADE[1].nms),
            "crops 48": lambda: images.crop_scaled(halved, windows[1], CASCADE[2].size),
            "O-Net": lambda: detector.nets[2](crops[1])}, [len(windows[0]), len(windows[1])]


def main(args):
    rows = []
    for min_face in (20, 40):
        detector = Detector(MODEL, min_face, detectors.THRESHOLDS)
        for name in detectors.IMAGES:
            calls, windows = parts(detector, detectors.image(name))
            ms = {part: 1000 * measure.medians(taken)[0]
                  for part, taken in measure.by_turns(calls, args.repeats).items()}
            ms["its cells"] = ms.pop("proposing") - ms["halving"] - ms["packing"] - ms["P-Net"]
            whole = ms.pop("all")
            ms["rest"] = whole - sum(ms.values())
            rows.append([f"{name}, min face {min_face}", *windows, f"{whole:.1f}",
                         *(f"{ms[part]:.1f}" for part in PARTS)])
    print(tables.markdown(["image", "R-Net's crops", "O-Net's", "all, ms", *PARTS], rows))
    print()
    measure.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="turns (default: 15)")
    main(parser.parse_args())
