"""One sample = one line of text: which part of which image, and what a net should say of it.

    path <TAB> x1 y1 x2 y2 mirror rotation <TAB> label <TAB> dx1 dy1 dx2 dy2 <TAB> px1 py1 ... pxP pyP

path: of the image, below the data folder. x1 y1 x2 y2: the crop in whole px, which may leave the image (black there).
mirror: 0 or 1. rotation: degrees counter-clockwise around the crop's center, before the mirror. label: 1 positive,
-1 part, 0 negative, -2 landmark. Offsets dx1..dy2 and points px1..pyP are relative to the
crop (detection/boxes.py), as seen in the finished sample, at full float32 precision. In a landmark sample nan stands
for a point that is not labeled; the landmark loss leaves it out.
"""
import hashlib
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import (
    CASCADE,
    HEADS,
    HELD_OUT_SHARE,
    KINDS,
    LANDMARK,
    NEGATIVE,
    NEGATIVE_IOU,
    PART,
    POINTS,
    POSITIVE,
    POSITIVE_IOU,
    SEED,
    Stage,
)
from detection import boxes as bx
from pipeline.step import read_manifest

# The label of a crop that is no sample: it overlaps an ignored face, or its IoU is too high for a negative and too low
# for a part. It is written to no list.
AMBIGUOUS = max(KINDS.values()) + 1
LANDMARK_MANIFEST = "landmark{}"        # name of the step that writes the landmark list of a size


class Sample(NamedTuple):
    """One parsed line."""
    path: str               # of the image, below the data folder
    crop: np.ndarray        # (4,) int32 px
    mirror: bool
    rotation: float         # degrees
    label: int
    offsets: np.ndarray     # (4,) float32
    points: np.ndarray      # (2P,) float32, NaN where a point of a landmark sample is not labeled


def without_landmarks(work: Path, size: int) -> bool:
    """Whether gen_landmark_aug.py recorded that the net of this size, px, is trained without landmarks."""
    manifest = read_manifest(Path(work) / str(size) / f"{LANDMARK_MANIFEST.format(size)}.json")
    return manifest is not None and not manifest["outputs"]


def list_files(work: Path, size: int, name: str, again: bool = False) -> list[Path]:
    """Files of one list for the net of this size, px; with `again` also what that net mined for the next one. None of
    landmarks where the net is trained without."""
    if name == "landmark" and without_landmarks(work, size):
        return []
    sizes = [stage.size for stage in CASCADE]
    mined = sizes[sizes.index(size) + 1:][:1] if again and name != "landmark" else []
    return [Path(work) / str(each) / f"{name}.txt" for each in [size, *mined]]


def rng(step: str, path: str, seed: int = SEED) -> np.random.Generator:
    """The random generator of one image in one step: the same numbers in whatever process and order."""
    digest = hashlib.blake2b(f"{seed}/{step}/{path}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def share_of(path: str, purpose: str) -> float:
    """An image's place in 0..1 for one purpose, from its path alone: splits images into groups without a list."""
    digest = hashlib.blake2b(f"{purpose}/{path}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") / 2 ** 32


def held_out(path: str) -> bool:
    """True for the images kept for validation while training."""
    return share_of(path, "validation") < HELD_OUT_SHARE


def label(crops: np.ndarray, truth: np.ndarray, ignored: np.ndarray, part_iou: float
          ) -> tuple[np.ndarray, np.ndarray]:
    """Crops (N, 4), true faces (M, 4), ignored faces (K, 4) -> labels int (N,), best faces (N, 4).

    The best face is the one whose square (boxes.square) has the highest IoU with the crop. Positive: that IoU is at
    least POSITIVE_IOU. Part: at least part_iou. Negative: below NEGATIVE_IOU, and no ignored face covers as large a
    share of the crop as NEGATIVE_IOU. Else AMBIGUOUS. The best face is zeros where there is no true face.
    Why the square: windows are squares of the longer side. If a face is 1.6 times as high as wide, its own square has
    an IoU of only 0.62 with it, so with the face itself, as in [paper], a perfect window would not be positive.
    """
    truth = np.concatenate([truth, bx.empty(1, 4)])     # a face without area, so that there always is a best one
    overlap = bx.iou(crops, bx.square(truth))           # (N, M + 1)
    best = overlap.max(axis=1)
    over_ignored = bx.coverage(crops, ignored).max(axis=1, initial=0)
    labels = np.full(len(crops), AMBIGUOUS)
    labels[(best < NEGATIVE_IOU) & (over_ignored < NEGATIVE_IOU)] = NEGATIVE
    labels[best >= part_iou] = PART
    labels[best >= POSITIVE_IOU] = POSITIVE
    return labels, truth[overlap.argmax(axis=1)]


def box_lines(path: str, crops: np.ndarray, labels: np.ndarray, faces: np.ndarray,
              rotations: np.ndarray | None = None) -> list[str]:
    """Positives, parts and negatives of one image -> N lines: crops (N, 4), labels (N,), the face of each crop (N, 4).

    rotations (N,): degrees by which the image is turned under the crop, none by default; the box is not turned with it.

    A negative's offsets are zeros, and so are the points of all three kinds.
    """
    offsets = np.where((labels == NEGATIVE)[:, None], 0, bx.encode(faces, crops))
    return lines(path, crops, labels, offsets, np.zeros((len(crops), HEADS["landmark"])), rotations=rotations)


def lines(path: str, crops: np.ndarray, labels: Sequence[int] | np.ndarray, offsets: np.ndarray, points: np.ndarray,
          mirror: bool = False, rotations: Sequence[float] | np.ndarray | None = None) -> list[str]:
    """N samples of one image -> N lines: crops (N, 4), labels (N,), offsets (N, 4), points (N, 2P).

    mirror is the same for all; rotations (N,) degrees, none by default.
    """
    rotations = np.zeros(len(crops)) if rotations is None else rotations
    return [f"{path}\t{c[0]:.0f} {c[1]:.0f} {c[2]:.0f} {c[3]:.0f} {int(mirror)} {r:g}\t{k:d}\t{_text(o)}\t{_text(p)}\n"
            for c, k, o, p, r in zip(crops, labels, offsets, points, rotations)]


def _text(values):
    """Numbers with the nine digits that give a float32 back exactly."""
    return " ".join("0" if v == 0 else f"{v:.9g}" for v in values.tolist())


def parse(line: str) -> Sample:
    """Line -> Sample. ValueError where it is not one."""
    path, crop, label_, offsets, points = line.rstrip("\n").split("\t")
    require_below(path)
    *box, mirror, rotation = crop.split()
    if not all(len(side) < 10 for side in box):
        raise ValueError("a crop of so many pixels")
    sample = Sample(path, np.array(box, np.int32), mirror == "1", float(rotation), int(label_),
                    np.array(offsets.split(), np.float32), np.array(points.split(), np.float32))
    if sample.crop.shape != (4,) or sample.offsets.shape != (4,):
        raise ValueError("wrong number of values")
    if sample.points.shape != (HEADS["landmark"],):
        raise ValueError(f"{len(sample.points)} numbers for {len(POINTS)} points")
    labeled = sample.points[~np.isnan(sample.points)] if sample.label == LANDMARK else sample.points
    if not np.isfinite([*sample.offsets, *labeled, sample.rotation]).all():
        raise ValueError("a value is not finite")
    if mirror not in ("0", "1") or label_ not in _KIND_OF_LABEL:
        raise ValueError("no such mirror or label")
    return sample


@lru_cache(1024)
def require_below(path: str) -> None:
    """ValueError unless a list can hold this path of an image and it stays below the data folder."""
    parts = path.replace("\\", "/").split("/")
    if not path or path.startswith(("/", "\\")) or ".." in parts or ":" in path:
        raise ValueError(f"the name of the image {path} leads out of the data folder")
    if not path.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in path):
        raise ValueError(f"the name of the image {path!r} holds a control character or is not in UTF-8; rename it")


def warn_of_none(kind: str, stage: Stage) -> None:
    """Prints that the batches of a net will lack a kind."""
    print(f"warning: there is no {kind} sample; {stage.name} will not learn from that kind")


def kind_of(line: str) -> str:
    """The kind of a line, without parsing all of it."""
    return _KIND_OF_LABEL[line.split("\t", 3)[2]]


def path_of(line: str) -> str:
    """The path of a line's image, without parsing all of it."""
    return line.split("\t", 1)[0]


_KIND_OF_LABEL = {str(value): kind for kind, value in KINDS.items()}
