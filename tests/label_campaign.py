"""A campaign of corrupted label files: how many are accepted with wrong boxes and without a warning?

    python tests/label_campaign.py [--count 1000] [--form voc ...] [--seed 0] [--show MUTATION]

For each form, right files about 40 images are corrupted in one way each: of a share of the boxes, or all, fields are
lost, swapped or scaled, boxes are shifted or written in another layout, unit or file. A file is silently wrong if it is
accepted, no warning is printed, and more than 5 % of the boxes that are read have an IoU under 0.5 with every face of
their image. Prints tables per form and mutation, of files that are wrong as a whole and of those that are in part.
"""
import argparse
import contextlib
import io
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import label_files as lf
from detection import boxes as bx
from detection.errors import UserError
from pipeline.tables import markdown
from preprocess.labels import sets

SHARES = 0.02, 0.08, 0.3, 0.6, 1.0
WRONG = 0.05                # of the boxes
IOU = 0.5
SIGNS = "warning:", "are read", "another size"      # in what is printed


def two_swapped(rng):
    """Two fields of a box, the same for all boxes of a file."""
    order = np.arange(4)
    a, b = rng.choice(4, 2, replace=False)
    order[[a, b]] = b, a
    return lambda row, _: row[order]


def lost(rng):
    which = rng.integers(4)
    return lambda row, _: np.delete(row, which)


def scaled(low, high):
    return lambda rng: (lambda factor: lambda row, _: row * factor)(np.exp(rng.uniform(np.log(low), np.log(high))))


def shifted(rng):
    """As after padding: by up to a quarter of the image, in px or shares of it."""
    move = rng.uniform(-0.25, 0.25, 2)
    return lambda row, label: np.concatenate([row[:2] + move * label.whole,
                                              row[2:] + move * label.whole if label.corners else row[2:]])


def layout(name):
    def make(_):
        def rewrite(row, label):
            return lf.LAYOUTS[name](label.true_box(row)[None])[0]
        return rewrite
    return make


def unit(name):
    def make(_):
        def rewrite(row, label):
            own = np.tile(label.whole, 2)
            return row / own * {"shares": 1, "percent": 100, "pixels": np.tile(label.size, 2)}[name]
        return rewrite
    return make


MUTATIONS = {
    "a field lost": lost, "two fields swapped": two_swapped,
    "another layout: x1 y1 x2 y2": layout("x1 y1 x2 y2"), "another layout: x y w h": layout("x y w h"),
    "another layout: center w h": layout("center w h"), "another layout: x1 x2 y1 y2": layout("x1 x2 y1 y2"),
    "another layout: y1 x1 y2 x2": layout("y1 x1 y2 x2"),
    "another unit: shares": unit("shares"), "another unit: percent": unit("percent"),
    "another unit: pixels": unit("pixels"),
    "scaled by 0.3 to 0.8": scaled(0.3, 0.8), "scaled by 1.25 to 4": scaled(1.25, 4),
    "shifted": shifted,
    "mirrored": lambda rng: lambda row, label: label.mirrored(row),
    "boxes of another image": None, "stated sizes scaled": None, "stated sizes turned": None}


class View:
    """What a mutation sees of a label: whole, the number for a whole side; corners: whether the last two are one."""

    def __init__(self, label, form):
        _, self.layout, unit, *_ = lf.FORMS[form]
        self.size = np.array(label.size, float)
        self.whole = {"pixels": self.size, "shares": np.ones(2), "percent": np.full(2, 100.0)}[unit]
        self.corners = self.layout == "x1 y1 x2 y2"

    def true_box(self, row):
        a, b = row[:2], row[2:]
        return np.concatenate({"x1 y1 x2 y2": (a, b), "x y w h": (a, a + b), "center w h": (a - b / 2, a + b / 2)}[
            self.layout])

    def mirrored(self, row):
        x1, y1, x2, y2 = self.true_box(row)
        return lf.LAYOUTS[self.layout](np.array([[self.whole[0] - x2, y1, self.whole[0] - x1, y2]]))[0]


def mutate(rng, found, form, name, share):
    """Labels -> corrupted ones, of about this share of the images."""
    hit = rng.random(len(found)) < share
    if name == "boxes of another image":
        moved = rng.permutation(np.flatnonzero(hit))
        other = [found[i] for i in moved]
        return [lf.replace(label, rows=other[0].rows, points=other.pop(0).points, classes=[lf.CLASS] * 9) if marked
                else label for label, marked in zip(found, hit)]
    if name.startswith("stated"):
        factor = np.exp(rng.uniform(-1, 1))
        return [lf.replace(label, size=tuple(round(side * factor) for side in label.size) if "scaled" in name
                           else label.size[::-1]) if marked else label for label, marked in zip(found, hit)]
    change = MUTATIONS[name](rng)
    return [lf.replace(label, rows=[[*map(float, change(np.array(row), View(label, form)))] for row in label.rows])
            if marked else label for label, marked in zip(found, hit)]


def outcome(data, scenes, form, found):
    """Reads the corrupted set: "refused", "warned", "right" or "silently wrong"."""
    folder = data / "sets" / "one"
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != "images":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [*folder.glob("images/*.json"), *folder.glob("images/*.pts")]:
        path.unlink()
    lf.write(data, scenes, lf.FORMS[form][0](found))
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            images = sets.read_set(data, folder)
    except UserError:
        return "refused"
    truth = {name: boxes for name, _, boxes, _ in scenes}
    wrong = [float(iou) < IOU for image in images for iou in
             bx.iou(image.boxes[~image.invalid], truth[image.path.rsplit("/", 1)[1]]).max(axis=1, initial=0)]
    if any(sign in printed.getvalue() for sign in SIGNS):
        return "warned"
    return "silently wrong" if sum(wrong) > WRONG * len(wrong) else "right"


def main(args):
    results, rng = {}, np.random.default_rng(args.seed)
    for form in args.form or lf.WITH_BOXES:
        names = [name for name in MUTATIONS if form in lf.WITH_SIZE or not name.startswith("stated")]
        with tempfile.TemporaryDirectory() as folder:
            scenes = lf.scene(rng, 40, lf.FORMS[form][4])
            for trial in range(args.count):
                if trial % 50 == 0:
                    scenes = lf.scene(rng, 40, lf.FORMS[form][4])
                    shutil.rmtree(folder, ignore_errors=True)
                name = names[trial % len(names)]
                share = SHARES[trial // len(names) % len(SHARES)]
                found = mutate(rng, lf.labels(scenes, form), form, name, share)
                result = outcome(Path(folder), scenes, form, found)
                results.setdefault((form, name, share == 1), Counter())[result] += 1
                if result == "silently wrong" and args.show:
                    print(f"{form}, {name}, {share:.0%} of the images")
    kinds = "right", "warned", "refused", "silently wrong"
    for title, whole, column, keys in (
            ("form, whole file", True, 0, args.form or lf.WITH_BOXES), ("mutation, whole file", True, 1, MUTATIONS),
            ("form, part of the file", False, 0, args.form or lf.WITH_BOXES),
            ("mutation, part of the file", False, 1, MUTATIONS)):
        rows = [[key, *(sum(count[kind] for case, count in results.items() if case[column] == key and case[2] == whole)
                        for kind in kinds)] for key in keys]
        print(markdown((title, *kinds), rows), "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="corrupted files per form (default: 1000)")
    parser.add_argument("--form", nargs="+", choices=lf.WITH_BOXES, help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="name each silently wrong file")
    main(parser.parse_args())
