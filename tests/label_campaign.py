"""A campaign of corrupted label files: how many are accepted with wrong boxes and without a warning?

    python tests/label_campaign.py [--count 1000] [--form voc ...] [--seed 0] [--show] [--json FILE]

For each form, right files about 40 images are corrupted in one way each: of a share of the images, or all, fields are
lost, swapped or scaled, boxes are shifted or written in another layout, unit or file. Forms without boxes have their
points corrupted. A file is silently wrong if it is accepted, no warning is printed, and more than 5 % of the boxes that
are read have an IoU under 0.5 with every face of their image. Prints tables per form and mutation, of files that are
wrong as a whole and of those that are in part. --json: the counts go to FILE too, to which other runs add theirs.

Some files nobody can tell from right ones without a look at the images, and they have a column of their own. `hidden`
decides it from the truth, not from what the checks say: what is wrong lies in its image, is as large, and as wide for
its height, as what is right; boxes still lie around their points, if there are any, and five points look like a face.
"""
import argparse
import contextlib
import io
import json
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
from preprocess.labels.doubts import SHAPE
from preprocess.labels.from_points import face_box, likeness

SHARES = 0.02, 0.08, 0.3, 0.6, 1.0
WRONG = 0.05                # of the boxes
IOU = 0.5
SIGNS = "warning:", "are read", "another size"      # in what is printed
WITH_POINTS = "retinaface", "labelv2", "celeba", "cvat", "labelme", "label studio"      # beside their boxes
OUTSIDE = 2                 # px beyond its image, from which a box is recognized
STRANGE = 2.0, 4.0          # times the widest, flattest; smallest and largest right box, from which it is, too,
AROUND = 0.2                # of a box, from its middle: where the middle of its points may lie
STRANGE_IMAGES = 0.01       # in more than this share of the images and in two: public sets have such boxes
KINDS = "right", "warned", "refused", "silently wrong", "silent, nobody can tell"
WHY = """Nobody can tell from the file alone, without a look at the images:
  * mirrored or other boxes that lie in their images, as after `boxes of another image` of the same size;
  * of a part of the images: boxes that were moved or scaled and still lie in their images, with usual sizes and shapes.
    Sizes of right boxes differ by a factor of 40 within WIDER FACE, and each place in an image is as good as another.
    This holds for each mutation above: `center w h` read as `x y w h` moves a box by half its sides;
  * width and height of nearly square boxes exchanged: the box still lies around its face."""


def two_swapped(rng):
    """Two fields of a box (or numbers of its points), the same for all boxes of a file."""
    of = {n: rng.choice(n, 2, replace=False) for n in (4, 10)}

    def swap(row, _):
        a, b = of[len(row)]
        order = np.arange(len(row))
        order[[a, b]] = b, a
        return row[order]
    return swap


def lost(rng):
    which = {n: rng.integers(n) for n in (4, 10)}
    return lambda row, label: np.delete(row, which[4]) if len(row) == 4 else \
        np.where(np.arange(10) == which[10], np.nan, row)


def scaled(low, high):
    return lambda rng: (lambda factor: lambda row, _: row * factor)(np.exp(rng.uniform(np.log(low), np.log(high))))


def shifted(rng):
    """As after padding: by up to a quarter of the image, in px or shares of it."""
    move = rng.uniform(-0.25, 0.25, 2)
    return lambda row, label: np.concatenate([row[:2] + move * label.whole, row[2:] if label.sides else
                                              row[2:] + np.resize(move * label.whole, len(row) - 2)])


def layout(name):
    def make(_):
        def rewrite(row, label):
            return lf.LAYOUTS[name](label.true_box(row)[None])[0]
        return rewrite
    return make


def unit(name):
    def make(_):
        def rewrite(row, label):
            whole = {"shares": np.ones(2), "percent": np.full(2, 100.0), "pixels": label.size}[name]
            return row / np.resize(label.whole, len(row)) * np.resize(whole, len(row))
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
    """What a mutation sees of a label: whole, the number for a whole side; sides: whether the last two numbers of a box
    are its sides. Numbers keep the digits of the form, so that a scaled box does not show by its digits."""

    def __init__(self, label, form):
        _, self.layout, self.unit, *_ = lf.FORMS[form]
        self.size = np.array(label.size, float)
        self.whole = {"pixels": self.size, "shares": np.ones(2), "percent": np.full(2, 100.0)}[self.unit]
        self.sides = self.layout != "x1 y1 x2 y2"

    def true_box(self, row):
        a, b = row[:2], row[2:]
        return np.concatenate({"x1 y1 x2 y2": (a, b), "x y w h": (a, a + b), "center w h": (a - b / 2, a + b / 2)}[
            self.layout])

    def mirrored(self, row):
        if len(row) == 10:
            return np.where(np.arange(10) % 2, row, self.whole[0] - row)
        x1, y1, x2, y2 = self.true_box(row)
        return lf.LAYOUTS[self.layout](np.array([[self.whole[0] - x2, y1, self.whole[0] - x1, y2]]))[0]

    def px(self, row):
        """The box px that a row stands for, if it is read as the form promises; None where fields are lost."""
        if len(row) == 10:          # the extent of the points
            points = np.reshape(row, (5, 2)) / self.whole * self.size
            return np.concatenate([points.min(axis=0), points.max(axis=0)])
        return self.true_box(np.array(row)) / np.tile(self.whole, 2) * np.tile(self.size, 2) if len(row) == 4 else None

    def middle(self, points, box):
        """Where the middle of the points lies in a box px, 0 to 1."""
        return (np.mean(points, axis=0) / self.whole * self.size - box[:2]) / (box[2:] - box[:2])


def rows_of(label, form):
    """The numbers that are corrupted: of the boxes, or of the points where the form has no boxes."""
    return label.rows if form in lf.WITH_BOXES else [np.ravel(each) for each in label.points]


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
    change, digits = MUTATIONS[name](rng), 1 if lf.FORMS[form][2] == "pixels" and "shares" not in name else 6
    field = "rows" if form in lf.WITH_BOXES else "points"
    return [lf.replace(label, **{field: [np.round(change(np.array(row, float), View(label, form)), digits).tolist()
                                         for row in rows_of(label, form)]})
            if marked else label for label, marked in zip(found, hit)]


def hidden(found, changed, form, name):
    """Whether nobody can tell a corrupted file from a right one; see above."""
    own_points = form in WITH_POINTS and name != "boxes of another image"       # there the points move, too
    right = np.array([View(label, form).px(row) for label in found for row in rows_of(label, form)])
    sides = right[:, 2:] - right[:, :2]
    usual = [(values.min() / by, values.max() * by) for values, by in
             zip((sides[:, 0] / sides[:, 1], sides.max(axis=1)), STRANGE)]
    strange = 0
    for before, label in zip(found, changed):
        boxes = [View(label, form).px(row) for row in rows_of(label, form)] if before is not label else []
        if any(box is None or not np.isfinite(box).all() or (box[2:] <= box[:2]).any() or (box[:2] < -OUTSIDE).any()
               or (box[2:] > np.array(label.size) + OUTSIDE).any() for box in boxes):
            return False
        sides = [box[2:] - box[:2] for box in boxes]
        if own_points and any((abs(View(label, form).middle(each, box) - 0.5) > AROUND).any()
                              for each, box in zip(label.points, boxes)):
            return False
        if form not in lf.WITH_BOXES and before is not label:
            strange += likeness(np.reshape(label.points[0], (1, 5, 2)))[0] < SHAPE
        strange += any(not (usual[0][0] <= w / h <= usual[0][1] and usual[1][0] <= max(w, h) <= usual[1][1])
                       for w, h in sides)
    return strange <= max(STRANGE_IMAGES * len(found), 1)


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
    truth = {name: boxes if form in lf.WITH_BOXES else face_box(points) for name, _, boxes, points in scenes}
    wrong = [float(iou) < IOU for image in images for iou in
             bx.iou(image.boxes[~image.invalid], truth[image.path.rsplit("/", 1)[1]]).max(axis=1, initial=0)]
    if any(sign in printed.getvalue() for sign in SIGNS[:3 if form in lf.WITH_BOXES else 2]):
        return "warned"
    return "silently wrong" if sum(wrong) > WRONG * len(wrong) else "right"


def run(form, count, seed, show):
    """-> {(form, mutation, whether the whole file is corrupted): Counter of outcomes}"""
    results, rng = {}, np.random.default_rng([seed, list(lf.FORMS).index(form)])
    names = [name for name in MUTATIONS if (form in lf.WITH_SIZE or not name.startswith("stated"))
             and (form in lf.WITH_BOXES or "layout" not in name)]
    with tempfile.TemporaryDirectory() as folder:
        for trial in range(count):
            if trial % 50 == 0:
                scenes = lf.scene(rng, 40, lf.FORMS[form][4])
                shutil.rmtree(folder, ignore_errors=True)
            name, share = names[trial % len(names)], SHARES[trial // len(names) % len(SHARES)]
            found = lf.labels(scenes, form)
            changed = mutate(rng, found, form, name, share)
            result = outcome(Path(folder), scenes, form, changed)
            if result == "silently wrong" and hidden(found, changed, form, name):
                result = "silent, nobody can tell"
            results.setdefault((form, name, share == 1), Counter())[result] += 1
            if result == "silently wrong" and show:
                print(f"{form}, {name}, {share:.0%} of the images, file {trial}", flush=True)
    return results


def main(args):
    results = {}
    for form in args.form or lf.FORMS:
        results.update(run(form, args.count, args.seed, args.show))
    if args.json:
        stored = json.loads(args.json.read_text()) if args.json.is_file() else []
        stored += [[*case, counts] for case, counts in results.items()]
        args.json.write_text(json.dumps(stored))
        results = {tuple(case): Counter(counts) for *case, counts in stored}
    for title, whole, column, keys in (
            ("form, whole file", True, 0, lf.FORMS), ("mutation, whole file", True, 1, MUTATIONS),
            ("form, part of the file", False, 0, lf.FORMS), ("mutation, part of the file", False, 1, MUTATIONS)):
        rows = [[key, *(sum(count[kind] for case, count in results.items() if case[column] == key and case[2] == whole)
                        for kind in KINDS)] for key in keys if any(case[column] == key for case in results)]
        rows.append(["all", *(sum(row[i] for row in rows) for i in range(1, len(KINDS) + 1))])
        print(markdown((title, *KINDS), rows), "\n")
    print(WHY)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="corrupted files per form (default: 1000)")
    parser.add_argument("--form", nargs="+", choices=lf.FORMS, help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="name each silently wrong file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="counts, to which a run adds its own")
    main(parser.parse_args())
