"""What is odd about some of the images of a label file whose other images are right: sentences that name them.

checks.py decides how all boxes of a file are meant. A file of two sources can hold images whose numbers mean something
else, and no reading fits all. Each test here compares an image or face with the rest of the file. Its threshold is set
so that right files stay silent: the rates beside the thresholds are those of 300,000 boxes of public sets, WIDER FACE's
train and val lists in five forms among them.
"""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from config import FACIAL_POINTS, POINTS
from detection import boxes as bx
from preprocess.labels.from_points import likeness
from preprocess.labels.readings import LAYOUTS, UNITS, Reading, corners

LEAVES = 2              # px by which a box may leave its image: 2 of 310,000 boxes leave it farther,
LEAVING = 0.001         # share of the boxes, above which that is said
TIGHT = 0.3             # share of the boxes that show what most have in common, whatever the others are
SHAPES = 0.15, 0.4      # spread of log(width / height): at least, as of WIDER FACE (0.15), at most (0.39: lying heads)
SIZES = 0.6, 1.0        # likewise of log(side / side of the image)
BEST = 5.0, 3.5         # log likelihood by which another layout or unit has to fit an image better
ON_ITS_SIDE = 5.0       # further log likelihood where the other reading only turns the shapes: lying faces have them
SELDOM = 0.01           # share of the images of which that may be true by chance
UNLIKE = np.log(3), 4.0  # log(width / height) by which a shape differs, and spreads: 0.1 % of WIDER FACE's boxes do
UNLIKES = 0.02          # share of the boxes, above which that is said
LOST = -6.0             # log likelihood of a box that no image can hold
ALIKE = 0.6             # of the spread of shapes, below which an exchange of two numbers has to bring it
SHAPE = 0.7         # of the spread of five points that the shape of a face explains; 6,992 LFW/Net faces: 0.80 to 1.00,
                    # in another order of numbers 0.78 at most and 0.45 in the median, mirrored 0.27 at most
APART = 1 / 3           # IoU of a box with where the points of its face are in most boxes: below it they do not belong
AT_EDGE = 0.4           # of a box, from its middle to the middle of its points, likewise; WIDER FACE's profiles: 0.35
NOT_ITS_OWN = 0.03      # share of the faces with such points, or of which these are no face: profiles
ASIDE = 0.04, 5.0       # of the width, and standard errors, by which the mean of all boxes lies beside the middle; in
                        # public sets 0.012 at most
NAMED = 3


@dataclass(frozen=True)
class Seen:
    """All boxes that count of a file. rows (N, 4): as the file has them; sizes (N, 2): px, of their images; image (N,):
    which one, by its number; names: of the images; points (N, P, 2): px, NaN where not labeled."""
    rows: np.ndarray
    sizes: np.ndarray
    image: np.ndarray
    names: Sequence[str]
    points: np.ndarray


def doubts(seen: Seen, reading: Reading) -> Iterator[str]:
    """Sentences about what is odd, each with the names of some images."""
    boxes = corners(reading, seen.rows, seen.sizes)
    if not len(boxes):
        return
    out = ((boxes[:, :2] < -LEAVES) | (boxes[:, 2:] > seen.sizes + LEAVES)).any(axis=1)
    if out.sum() > LEAVING * len(boxes):
        yield f"{out.sum()} of {len(boxes)} boxes leave their images, {_such(seen, seen.image[out])}"
    yield from _other_readings(seen, reading, boxes)
    yield from _points_beside(seen, boxes)
    middle = np.bincount(seen.image, (boxes[:, 0] + boxes[:, 2]) / 2 / seen.sizes[:, 0])[np.unique(seen.image)]
    middle = middle / np.unique(seen.image, return_counts=True)[1]
    off = abs(middle.mean() - 0.5)
    if off > max(ASIDE[0], ASIDE[1] * middle.std() / len(middle) ** 0.5) and len(middle) > 1 / SELDOM ** 0.5:
        yield f"the boxes lie at {middle.mean():.0%} of the width of their images in the mean, not near the middle"


def _other_readings(seen: Seen, reading: Reading, boxes: np.ndarray) -> Iterator[str]:
    """About images whose boxes look like the others only if their numbers mean something else."""
    shapes, sizes = _common(_shape(boxes), SHAPES), _common(_size(boxes, seen.sizes), SIZES)
    images = np.unique(seen.image)
    unlike = abs(_shape(boxes) - shapes[0]) > max(UNLIKE[0], UNLIKE[1] * shapes[1])
    if unlike.sum() > max(UNLIKES * len(boxes), 1):
        yield f"{unlike.sum()} of {len(boxes)} boxes are far flatter or taller than the others, " \
              f"{_such(seen, seen.image[unlike])}"
    own = _fits(boxes, seen.sizes, shapes, sizes)
    best, which = np.full(len(images), -np.inf), np.zeros(len(images), int)
    others, spread = [], _common(_shape(boxes), (0, np.inf))[1]
    for name, rows, other in _others(seen.rows, reading):
        read = corners(other, rows, seen.sizes)
        gain = _fits(read, seen.sizes, shapes, sizes) - own
        gain += np.log(_range(reading, seen.sizes) / _range(other, seen.sizes))
        gain[~_inside(read, seen.sizes)] = -np.inf
        turned = np.abs(_shape(read) + _shape(boxes)) < 0.01
        gain = np.bincount(seen.image, gain)[images] - ON_ITS_SIDE * turned.all()
        gain += (BEST[0] - BEST[1]) * (other.unit != reading.unit)
        which[gain > best] = len(others)
        best = np.maximum(best, gain)
        others.append(name)
        if other == reading and spread > SHAPES[1] and _common(_shape(read), (0, np.inf))[1] < ALIKE * spread and \
                _inside(read, seen.sizes).mean() > 0.5:
            yield f"the boxes have very different shapes, which {name} would have not"
    odd = best > BEST[0]
    if odd.sum() > max(SELDOM * len(images), 1):
        names = np.array(others)[which[odd]]
        most = max(set(names), key=list(names).count)
        yield f"{odd.sum()} of {len(images)} images have boxes unlike the others, most of them as if they were " \
              f"{most}, {_such(seen, images[odd])}"


def _range(reading: Reading, sizes: np.ndarray) -> np.ndarray:
    """Sizes of images (N, 2) px -> how many places there are in them, in the unit of a reading (N,)."""
    whole = UNITS[reading.unit]
    return sizes.prod(axis=1) if whole is None else np.full(len(sizes), float(whole) ** 2)


def _others(rows: np.ndarray, reading: Reading) -> Iterator[tuple[str, np.ndarray, Reading]]:
    """(what it is called, rows (N, 4), how they are read) of each other way to read rows."""
    for layout, unit in product(LAYOUTS, UNITS):
        if (layout, unit) != (reading.layout, reading.unit):
            yield f"`{layout}` in {unit}", rows, Reading(layout, unit)
    for a, b in combinations(range(4), 2):
        order = np.arange(4)
        order[[a, b]] = b, a
        yield f"with the {('first', 'second', 'third', 'last')[a]} and the {('first', 'second', 'third', 'last')[b]} " \
              "number exchanged", rows[:, order], reading


def _fits(boxes: np.ndarray, sizes: np.ndarray, shapes: tuple[float, float], sides: tuple[float, float]) -> np.ndarray:
    """Boxes (N, 4), sizes of their images (N, 2) px -> log likelihood (N,) of their shapes and sizes among the others;
    the tails are wide (Student's t of three degrees of freedom)."""
    score = np.full(len(boxes), LOST)
    good = _inside(boxes, sizes)
    for value, (middle, spread) in ((_shape(boxes[good]), shapes), (_size(boxes[good], sizes[good]), sides)):
        score[good] = np.where(score[good] == LOST, 0, score[good]) - 2 * np.log1p(((value - middle) / spread) ** 2 / 3)
    return np.maximum(score, LOST)


def _inside(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, :2] >= -LEAVES) & (boxes[:, 2:] <= sizes + LEAVES)).all(axis=1)


def _shape(boxes: np.ndarray) -> np.ndarray:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    return np.log(sides[:, 0] / sides[:, 1])


def _size(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6) / sizes).mean(axis=1)


def _common(values: np.ndarray, spread: tuple[float, float]) -> tuple[float, float]:
    """Values (N,) -> middle and spread, within these limits, of the TIGHT share that lies closest together: what the
    right ones have in common, even where they are the smaller part."""
    values = np.sort(values)
    count = max(int(np.ceil(TIGHT * len(values))), 1)
    widths = values[count - 1:] - values[:len(values) - count + 1]
    at = int(np.argmin(widths))
    near = values[at:at + count]
    return float(np.median(near)), float(np.clip(widths[at] / 2 / 0.385, *spread))      # 0.385: of a normal spread


def _points_beside(seen: Seen, boxes: np.ndarray) -> Iterator[str]:
    """About faces whose points lie elsewhere in their boxes than those of most faces."""
    whole = np.isfinite(seen.points).all(axis=(1, 2))
    if seen.points.shape[1] < 2 or whole.sum() < 1 / NOT_ITS_OWN:
        return
    boxes, points = boxes[whole], seen.points[whole]
    if POINTS == FACIAL_POINTS:
        none = likeness(points) < SHAPE
        if none.sum() > NOT_ITS_OWN * len(points):
            yield f"{none.sum()} of {len(points)} faces have landmarks in another order than the others, " \
                  f"{_such(seen, seen.image[whole][none])}"
    center = points.mean(axis=1)
    spread = np.maximum(np.sqrt(np.square(points - center[:, None]).sum(axis=2).mean(axis=1)), 1e-6)[:, None]
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    move = np.median(((boxes[:, :2] + boxes[:, 2:]) / 2 - center) / spread, axis=0)
    half = np.exp(np.median(np.log(sides / spread), axis=0)) / 2
    usual = np.hstack([center + (move - half) * spread, center + (move + half) * spread])
    apart = bx.iou_of_pairs(boxes, usual) < APART
    off = (abs((center - boxes[:, :2]) / sides - 0.5) > AT_EDGE).any(axis=1)
    apart |= off & (off.mean() < 0.5)       # else the whole set has its landmarks there, which checks.py says
    if apart.sum() > NOT_ITS_OWN * len(boxes):
        yield f"{apart.sum()} of {len(boxes)} faces have their landmarks elsewhere in their boxes than the others, " \
              f"{_such(seen, seen.image[whole][apart])}"


def _such(seen: Seen, images: np.ndarray) -> str:
    names = [seen.names[i] for i in np.unique(images)[:NAMED]]
    return f"such as in {', '.join(names)}"
