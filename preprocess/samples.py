"""One sample = one line of text: which part of which photo, and what a net should say of it.

    photo <TAB> x1 y1 x2 y2 mirror rotation <TAB> label <TAB> dx1 dy1 dx2 dy2 <TAB> x1 y1 ... xP yP

photo: path below the data folder. x1..y2: the crop in whole px, which may leave the photo (black there). mirror: 0
or 1. rotation: degrees counter-clockwise around the crop's centre, before the mirror. label: 1 positive, -1 part,
0 negative, -2 landmark. Offsets and points are relative to the crop (boxes.py), as seen in the finished sample, at
full float32 precision.
"""
import hashlib
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import (CASCADE, HEADS, HELD_OUT_SHARE, KINDS, NEGATIVE, NEGATIVE_IOU, PART, POINTS, POSITIVE, POSITIVE_IOU,
                    SEED)
from detection import boxes as bx

NO_LABEL = 9    # over a face that does not count; or between negative and part, where those leave a gap


class Sample(NamedTuple):
    """One parsed line."""
    photo: str
    crop: np.ndarray        # (4,) int32 px
    mirror: bool
    rotation: float         # degrees
    label: int
    offsets: np.ndarray     # (4,) float32
    points: np.ndarray      # (2P,) float32


def lists(work, size, name, again=False):
    """Files of one list for the net of this size; with `again` also what that net mined for the next one."""
    sizes = [stage.size for stage in CASCADE]
    mined = sizes[sizes.index(size) + 1:][:1] if again and name != "landmark" else []
    return [Path(work) / str(each) / f"{name}.txt" for each in [size, *mined]]


def rng(step, photo, seed=SEED):
    """The random generator of one photo in one step: the same draws whoever asks, in whatever order."""
    digest = hashlib.blake2b(f"{seed}/{step}/{photo}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def share_of(photo, purpose):
    """A photo's place in 0..1 for one purpose, from its name alone: splits photos into groups without a list."""
    digest = hashlib.blake2b(f"{purpose}/{photo}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") / 2 ** 32


def held_out(photo):
    """True for the photos kept for validation while training."""
    return share_of(photo, "validation") < HELD_OUT_SHARE


def label(crops, truth, ignored, part_iou):
    """Crops (N, 4), true faces (M, 4), faces that do not count (K, 4) -> labels (N,), best faces (N, 4).

    Positive from POSITIVE_IOU with the square of the best face, part from part_iou, negative below NEGATIVE_IOU if
    ignored faces cover less than that of the crop too; NO_LABEL else. The best face is zeros where there is none.
    The square, because the nets meet squares of the longer side: one of a face 1.6 times as high as wide has an IoU
    of 0.62 with the face itself, so what is met of a profile would be no positive, as in [paper].
    """
    truth = np.concatenate([truth, bx.empty(1, 4)])     # a face without area, so that there always is a best one
    overlap = bx.iou(crops, bx.square(truth))           # (N, M + 1)
    best = overlap.max(axis=1)
    over_ignored = bx.coverage(crops, ignored).max(axis=1, initial=0)
    labels = np.full(len(crops), NO_LABEL)
    labels[(best < NEGATIVE_IOU) & (over_ignored < NEGATIVE_IOU)] = NEGATIVE
    labels[best >= part_iou] = PART
    labels[best >= POSITIVE_IOU] = POSITIVE
    return labels, truth[overlap.argmax(axis=1)]


def box_lines(photo, crops, labels, faces, rotations=None):
    """Lines of positives, parts and negatives: crops (N, 4), labels (N,), the face of each crop (N, 4); rotations (N,)
    degrees, by which the photo is turned under the crop: the face's box counts as unturned.

    A negative's offsets are zeros, like the points of all three.
    """
    offsets = np.where((labels == NEGATIVE)[:, None], 0, bx.encode(faces, crops))
    return lines(photo, crops, labels, offsets, np.zeros((len(crops), HEADS["landmark"])), rotations=rotations)


def lines(photo, crops, labels, offsets, points, mirror=False, rotations=None):
    """N samples of one photo -> N lines. mirror is the same for all; rotations (N,) degrees, none by default."""
    rotations = np.zeros(len(crops)) if rotations is None else rotations
    return [f"{photo}\t{c[0]:.0f} {c[1]:.0f} {c[2]:.0f} {c[3]:.0f} {int(mirror)} {r:g}\t{l:d}\t{_text(o)}\t{_text(p)}\n"
            for c, l, o, p, r in zip(crops, labels, offsets, points, rotations)]


def _text(values):
    """Numbers with the nine digits that give a float32 back exactly."""
    return " ".join("0" if v == 0 else f"{v:.9g}" for v in values.tolist())


def parse(line):
    """Line -> Sample. ValueError where it is not one."""
    photo, crop, label_, offsets, points = line.rstrip("\n").split("\t")
    require_below(photo)
    *box, mirror, rotation = crop.split()
    if not all(len(side) < 10 for side in box):
        raise ValueError("a crop of so many pixels")
    sample = Sample(photo, np.array(box, np.int32), mirror == "1", float(rotation), int(label_),
                    np.array(offsets.split(), np.float32), np.array(points.split(), np.float32))
    if sample.crop.shape != (4,) or sample.offsets.shape != (4,):
        raise ValueError("wrong number of values")
    if sample.points.shape != (HEADS["landmark"],):
        raise ValueError(f"{len(sample.points)} numbers for {len(POINTS)} points")
    if not np.isfinite([*sample.offsets, *sample.points, sample.rotation]).all():
        raise ValueError("a value is not finite")
    if mirror not in ("0", "1") or label_ not in _KIND_OF_LABEL:
        raise ValueError("no such mirror or label")
    return sample


@lru_cache(1024)
def require_below(path):
    """ValueError unless `path` is one that a list can hold and that stays below the data folder."""
    parts = path.replace("\\", "/").split("/")
    if not path or path.startswith(("/", "\\")) or ".." in parts or ":" in path:
        raise ValueError(f"the photo's name {path} leads out of the data folder")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in path):
        raise ValueError(f"the photo's name {path!r} holds a control character or is not in UTF-8; rename it")


def warn_of_none(kind, stage):
    """Tells that a net's batches will lack a kind."""
    print(f"warning: there is no {kind} sample; {stage.name} will not learn from that kind")


def kind_of(line):
    """The kind of a line, without parsing all of it."""
    return _KIND_OF_LABEL[line.split("\t", 3)[2]]


def photo_of(line):
    """The photo of a line, without parsing all of it."""
    return line.split("\t", 1)[0]


_KIND_OF_LABEL = {str(value): kind for kind, value in KINDS.items()}
