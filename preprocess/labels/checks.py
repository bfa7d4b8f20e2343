"""What only a whole label file shows: classes, size of the labeled images, unit and layout of boxes, order of points.

`resolve` decides each of these over all images of a file or set, says where that differs from what the form promises,
and makes annotated images of the entries of a reader. A reading other than the form's is chosen only where it leaves
clearly fewer impossible boxes; where nothing fits, the set is refused.
"""
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations, product
from pathlib import Path

import numpy as np

from config import BAD_SHARE, FACIAL_POINTS, POINTS
from detection.errors import UserError
from detection.images import size
from preprocess.labels import (
    AnnotatedImage,
    BadLabel,
    Entry,
    Form,
    Saying,
    Stated,
    annotate,
    attempt,
    collect,
    require_inside,
)
from preprocess.labels.doubts import SHAPE, Seen, doubts
from preprocess.labels.from_points import face_box, likeness
from preprocess.labels.packed import Packed
from preprocess.labels.reading import image_path
from preprocess.labels.readings import LAYOUTS, UNITS, Reading, corners

OUT = 0.05          # of a side, and 2 px: by as much a box may leave its image before that speaks against a reading
COST = 3, 0.005     # boxes, and share of them, that each change of the form's reading has to explain
CORNER = 0.6        # of both sides: boxes that stay in such a corner of all images are suspicious,
CORNERS = 0.15, 0.3 # of both sides, likewise, for some of the boxes;
CHANCE = 1e-4       # if so many independent images would do so by chance less often than this
TINY = 1.5          # px, the median side of boxes that are in another unit
UNFIT = 0.2         # of the boxes: where more are impossible, the set is refused
OFF = 0.3           # of a box, from its middle: where the middle of its points hardly lies; LFW/Net: 0.11 at most
FEW = 5             # faces whose shapes say nothing about the order of their points
MARGIN = 0.5        # of the sides of a box, around it: points lie in there
LOOK = "Look at them with preprocess/show_samples.py --raw"
SAMPLED = 1000      # images on which a reading is decided


@dataclass(frozen=True, slots=True)
class Place:
    """Where the image of an entry lies, below the data folder; size: width and height px, None where nobody looked;
    exact: False where only the end of the name fits."""
    path: str
    size: tuple[int, int] | None = None
    exact: bool = True


@dataclass
class Facts:
    """What was found out: the reading of the boxes (None: none is labeled), whether points are in shares or percent
    though the form has pixels, boxes per class, sentences to print."""
    reading: Reading | None = None
    relative: bool = False
    classes: Counter = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Image:
    """An entry on its way: rows (N, 4) and points (N, P, 2), as the file has them, and the size they refer to, px."""
    place: Place
    stated: Stated
    rows: np.ndarray
    invalid: np.ndarray
    points: np.ndarray
    size: np.ndarray        # (2,), NaN where unknown
    scale: float            # what px of the labeled image become in today's


def resolve(source: Path, form: Form, sayings: Iterable[Saying], locate: Callable[[str, object], Place],
            wanted: set[str] | None = None, given: Reading | None = None) -> tuple[Iterator[Entry], Facts]:
    """What a set says -> entries to collect, facts. locate(name, where) -> Place, or BadLabel.

    wanted: the classes that count, None: not chosen. given: how the user says that the boxes are meant. UserError where
    the set contradicts itself or its images, or classes have to be chosen. Prints the notes.
    """
    facts, found = Facts(), [list(each) for each in _started(sayings, locate)]
    _one_each(found)
    images = [image for _, image in found if isinstance(image, _Image)]
    _classes(source, images, wanted, facts)
    _say_scales(images, facts)
    _say_made(sum(image.stated.boxes is None for image in images), facts)
    to_points = _decide(source, form, images, facts, given)
    return _finished(found, facts, to_points), facts


def read_list(path: Path, form: Form, sayings: Iterable[Saying], images: str, data: Path | None
              ) -> Sequence[AnnotatedImage]:
    """What a list says of images in the folder `images` ("" for all) below the data folder -> annotated images.

    Where the data folder is known, some of the images are opened for their sizes. UserError where the list is unusable.
    A list may be of millions of images, so only those that decide how it is meant are held, the others packed.
    """
    def started(sayings: Iterable[Saying]) -> Iterator[tuple[int | str, _Image | BadLabel]]:
        return _started(sayings, lambda name, _: Place(image_path(images, name)))

    facts, packed, made = Facts(), Packed(), 0
    faces = array("b")          # -1 for an entry that is broken, 0 for none, 1 for some
    for saying in sayings:
        packed.append(saying)
        (_, image), = started([saying])
        broken = isinstance(image, BadLabel)
        faces.append(-1 if broken else bool(len(image.invalid)))
        made += not broken and image.stated.boxes is None

    def some(chosen: np.ndarray) -> list[_Image]:
        return [image for _, image in started(packed[number] for number in _some(np.flatnonzero(chosen).tolist()))]

    sample = some(np.array(faces) >= 0)
    if not any(len(image.invalid) for image in sample):
        sample = some(np.array(faces) > 0)
    _measure(sample, data)
    _say_made(made, facts)
    to_points = _decide(path, form, sample, facts)
    relative = facts.relative or facts.reading and facts.reading.unit != "pixels"
    entries = _finished(started(packed.drained()), facts, to_points, data if relative else None)
    return collect(path, entries, one_face=form.one_face)


def _started(sayings: Iterable[Saying], locate: Callable[[str, object], Place]
             ) -> Iterator[tuple[int | str, _Image | BadLabel]]:
    return ((where, stated if isinstance(stated, BadLabel) else attempt(_start, stated, locate, where))
            for where, stated in sayings)


def _finished(found: Iterable, facts: Facts, to_points: Callable, data: Path | None = None) -> Iterator[Entry]:
    """Entries on their way -> entries. data: as `_measure` takes it."""
    for where, image in found:
        if isinstance(image, _Image):
            _measure([image], data)
            yield where, attempt(_finish, image, facts.reading, to_points)
        else:
            yield where, image


def _decide(source: Path, form: Form, images: list[_Image], facts: Facts, given: Reading | None = None) -> Callable:
    """Finds out from these images how the boxes are read and where the points are: sets and prints the facts, returns
    what makes points, as `_points` does."""
    if any(len(image.rows) for image in images if image.stated.boxes is not None):
        facts.reading = given or _reading(source, form, images, facts)
    to_points = _points(source, form, images, facts)
    strange = [_off_center(images, facts.reading, to_points), *_doubts(images, facts.reading, to_points)]
    facts.notes += [f"warning: {each}. {LOOK}" for each in strange if each]
    for note in facts.notes:
        print(f"{source}: {note}")
    return to_points


def _measure(images: list[_Image], data: Path | None) -> None:
    """Gives the images below this data folder their sizes, where these are not known."""
    for image in images if data else ():
        if not np.isfinite(image.size).all():
            try:
                image.size = np.array(size(Path(data) / image.place.path), float)
            except UserError:
                pass            # the step that reads the image names it


def _start(stated: Stated, locate: Callable[[str, object], Place], where: object) -> _Image:
    place = _located(stated.names, where, locate)
    rows = np.zeros((0, 4)) if stated.boxes is None else np.asarray(stated.boxes, np.float64).reshape(-1, 4)
    points = np.broadcast_to(np.nan, (len(rows), len(POINTS), 2)) if stated.points is None else \
        np.asarray(stated.points, np.float64).reshape(-1, len(POINTS), 2)
    count = len(points) if stated.boxes is None else len(rows)
    invalid = np.zeros(count, bool) if stated.invalid is None else np.asarray(stated.invalid, bool).reshape(-1)
    if stated.points is not None:
        points = np.where((points == -1).all(axis=2, keepdims=True), np.nan, points)
    size, scale = _labeled_size(stated.size, place)
    return _Image(place, stated, rows, invalid, points, size, scale)


def _located(names: tuple[str, ...], where: object, locate: Callable[[str, object], Place]) -> Place:
    """The image that the first fitting name means; the BadLabel of the first name where none fits."""
    causes = []
    for name in names:
        try:
            return locate(name, where)
        except BadLabel as error:
            causes.append(error)
    raise causes[0]


def _labeled_size(stated: tuple[object, object] | None, place: Place) -> tuple[np.ndarray, float]:
    """The size px that a file states, if any, and the image -> the size that boxes refer to, what px are multiplied by.

    BadLabel where the image has other proportions than the labeled one.
    """
    actual = np.array(place.size or (np.nan, np.nan), float)
    try:
        sides = np.array([float(side or 0) for side in stated or (0, 0)])
    except (TypeError, ValueError):
        raise BadLabel(f"its size {' x '.join(map(str, stated))} is not a pair of numbers") from None
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        return actual, 1.0
    if place.size is None or (sides == actual).all():
        return sides, 1.0
    scale = actual.max() / sides.max()
    turned = (sides == actual[::-1]).all()
    if not turned and (np.abs(sides * scale - actual) <= 1 + scale).all():     # sides are whole px, today and labeled
        return sides, scale
    raise BadLabel(f"was labeled at {sides[0]:g} x {sides[1]:g} px, but {place.path} has {actual[0]:g} x {actual[1]:g} "
                   "px; " + ("the labels do not follow the orientation in its EXIF data: turn the stored image and "
                             "label it again" if turned else "find the image that was labeled"), "of another size")


def _some(images: list) -> list:
    """At most 2 SAMPLED of them, evenly."""
    return images[::max(len(images) // SAMPLED, 1)]


def _say_made(count: int, facts: Facts) -> None:
    if count:
        facts.notes.append(f"{count} images have points and no boxes; their boxes are made of the points")


def _say_scales(images: list[_Image], facts: Facts) -> None:
    scaled = [image for image in images if image.scale != 1]
    if scaled:
        first = scaled[0]
        facts.notes.append(
            f"{len(scaled)} images have another size than when they were labeled: {first.place.path} was labeled at "
            f"{first.size[0]:g} x {first.size[1]:g} px and has {first.place.size[0]} x {first.place.size[1]} px; their "
            "boxes are rescaled")


def _one_each(found: list[list]) -> None:
    """Makes a BadLabel of each entry whose name fits only loosely an image that another name fits, too."""
    claims = defaultdict(list)
    for at, (_, image) in enumerate(found):
        if isinstance(image, _Image):
            claims[image.place.path].append(at)
    for path, places in claims.items():
        loose = [at for at in places if not found[at][1].place.exact]
        if loose and len({found[at][1].stated.names[0] for at in places}) > 1:
            for at in loose:
                found[at][1] = BadLabel(f"there is no image {found[at][1].stated.names[0]} in images/; "
                                        f"{len(places)} names fit {path}", "no such image")


def _classes(source: Path, images: list[_Image], wanted: set[str] | None, facts: Facts) -> None:
    """Counts the boxes of each class and takes out those that are not wanted. UserError where a wanted class does not
    occur, or none was chosen of several."""
    facts.classes.update(name for image in images for name in image.stated.classes or ())
    if not facts.classes:
        if wanted and any(image.stated.classes is None and len(image.rows) for image in images):
            raise UserError(f"{source}: has no classes, and set.json names {', '.join(sorted(wanted))}; remove "
                            "`classes` from it")
        return
    counts = ", ".join(f"{name} ({count} boxes)" for name, count in facts.classes.most_common())
    if wanted is None and len(facts.classes) > 1:
        names = ", ".join(f'"{name}"' for name in facts.classes)
        raise UserError(f"{source}: has {len(facts.classes)} classes: {counts}; write those that are faces into "
                        f'set.json, as in {{"classes": [{names}]}}')
    missing = (wanted or set()) - set(facts.classes)
    if missing:
        raise UserError(f"{source}: has no class {', '.join(sorted(missing))}, which set.json names; it has "
                        f"{counts}")
    for image in images:
        if wanted is not None and image.stated.classes is not None:
            keep = np.array([name in wanted for name in image.stated.classes], bool)
            image.rows = image.rows if image.stated.boxes is None else image.rows[keep]
            image.invalid, image.points = image.invalid[keep], image.points[keep]


def _reading(source: Path, form: Form, images: list[_Image], facts: Facts) -> Reading:
    """The reading of the boxes that fits the images best: the form's, unless another one fits clearly better."""
    own = Reading(form.layout, form.unit, first=form.first)
    images = [image for image in images if image.stated.boxes is not None and (~image.invalid).any()]
    images = _some([image for image in images if np.isfinite(image.size).all()]) or _some(images)
    counts = [int((~image.invalid).sum()) for image in images]
    sizes = np.repeat([image.size for image in images], counts, axis=0).reshape(-1, 2)
    rows = {False: np.concatenate([image.rows[~image.invalid] for image in images] or [np.zeros((0, 4))])}
    if form.flat and max(counts, default=0) > 1:
        rows[True] = np.concatenate([_columns(image.rows)[~image.invalid] for image in images])
    whole = UNITS[form.unit]
    points = np.concatenate([image.points[~image.invalid] for image in images] or [np.zeros((0, len(POINTS), 2))])
    centers = points.mean(axis=1) - form.first if whole is None else points.mean(axis=1) * sizes / whole
    costs, notes, suspect = {}, {}, None
    for layout, unit, columns in product(LAYOUTS, UNITS, rows):
        reading = Reading(layout, unit, columns, form.first if unit == "pixels" else 0)
        impossible, squeezed, note = _speaks_against(reading, rows[columns], sizes, len(images))
        changes = (layout != form.layout) + (unit != form.unit) + columns
        off = _off_middle(corners(reading, rows[columns], sizes), centers).sum()
        costs[reading] = impossible + off + changes * (COST[0] + COST[1] * len(sizes))
        notes[reading] = impossible, note
        if changes and (squeezed or impossible > BAD_SHARE * len(sizes) or not np.isfinite(sizes).all()):
            del costs[reading]
        elif not changes and squeezed:
            suspect = unit
    others = [reading for reading in costs if reading.unit != suspect]      # all of them, where nothing is suspect
    best = min(others if suspect and others else costs, key=costs.get)
    if not (suspect and others) and not costs[best] < costs[own]:
        best = own
    impossible, note = notes[best]
    if impossible > UNFIT * len(sizes) and np.isfinite(sizes).all():
        raise UserError(f"{source}: {impossible} of {len(sizes)} boxes do not fit their images, whatever their numbers "
                        f"mean; {form.name} has {own}. Find the images that were labeled, or export the labels again")
    if best != own:
        why = f"{notes[own][0]} of {len(sizes)} would not fit their images" if notes[own][0] > BAD_SHARE * len(sizes) \
            else f"they would {notes[own][1]}" if notes[own][1] else "landmarks would lie far from the middle of them"
        facts.notes.append(f"the boxes are read as {best}, not as {own}, which {form.name} promises: so read, {why}. "
                           f"{LOOK}; the set.json of a set can say how they are meant")
    elif impossible > BAD_SHARE * len(sizes):
        facts.notes.append(f"warning: {impossible} of {len(sizes)} boxes end outside of their images. {LOOK}")
    if note:
        facts.notes.append(f"warning: the boxes {note}. {LOOK}")
    if best.first and (rows[False][:, :2] == 0).any(axis=1).sum() > (rows[False][:, :2] == 1).any(axis=1).sum():
        facts.notes.append(f"some corners are 0, so pixels are counted from 0, not from {best.first} as in {form.name}")
        best = Reading(best.layout, best.unit, best.columns)
    return best


def _columns(rows: np.ndarray) -> np.ndarray:
    """Rows (N, 4) of one line that holds its boxes column by column -> those boxes (N, 4)."""
    return rows.reshape(4, -1).T


def _speaks_against(reading: Reading, rows: np.ndarray, sizes: np.ndarray, images: int) -> tuple[int, bool, str]:
    """Rows (N, 4), sizes (N, 2) -> how many boxes are impossible, whether all are squeezed into a corner or to nothing,
    and what is strange about them all, or ""."""
    boxes = corners(reading, rows, sizes)
    sides = boxes[:, 2:] - boxes[:, :2]
    beyond = ((boxes[:, :2] < -2 - OUT * sides) | (boxes[:, 2:] > sizes + 2 + OUT * sides)).any(axis=1)
    impossible = int((beyond | ~(sides > 0).all(axis=1) | (sides.max(axis=1) < TINY)).sum()) if len(boxes) else 0
    if not np.isfinite(sides).all() or not len(boxes):          # in a unit that needs the sizes of images
        return impossible, bool(len(boxes)), ""
    if np.median(sides.max(axis=1)) < TINY:
        return impossible, True, f"have a median side of {np.median(sides.max(axis=1)):.2g} pixels"
    if not np.isfinite(sizes).all():
        return impossible, False, ""
    reach = (boxes[:, 2:] / sizes).max(axis=0)
    if (reach < CORNER).all() and (np.maximum(reach, 0).prod()) ** images < CHANCE:
        return impossible, True, f"all lie in the upper left {reach[0]:.0%} x {reach[1]:.0%} of their images"
    left, right = boxes[:, 0] / sizes[:, 0], 1 - boxes[:, 2] / sizes[:, 0]
    for share in CORNERS:       # some of the boxes, in another unit or of another size, are crowded in the first corner
        high, low = boxes[:, 3] / sizes[:, 1] < share, boxes[:, 1] / sizes[:, 1] > 1 - share
        here = int((high & (right > 1 - share)).sum())
        there = max(int((row & (side > 1 - share)).sum()) for row, side in ((high, left), (low, left), (low, right)))
        if here > 0.1 * len(boxes) and here > 10 * there and 0.5 ** here < CHANCE:
            return impossible, False, (f"crowd in the upper left {share:.0%} of their images, where {here} of "
                                       f"{len(boxes)} lie; no other corner holds more than {there}")
    for near, far, name in (left, right, "right"), (right, left, "left"):
        empty = far.min()           # a strip without any box, while the same strip on the other side has many
        if 0.02 < empty and 0.5 ** (near < 0.9 * empty).sum() < CHANCE and images > 20:
            return impossible, False, f"never come closer than {empty:.0%} to the {name} side of their images"
    return impossible, False, ""


def _points(source: Path, form: Form, images: list[_Image], facts: Facts) -> Callable[[_Image, np.ndarray], np.ndarray]:
    """The function (image, its boxes (N, 4) px of the labeled image) -> points (N, P, 2), same px, that fits best."""
    labeled = [image for image in images if np.isfinite(image.points).any()]
    unit = facts.reading.unit if facts.reading else form.unit
    first = form.first if form.unit == "pixels" else 0
    plain = unit, "", tuple(range(len(POINTS)))
    labeled = _some([image for image in labeled if np.isfinite(image.size).all()]) or _some(labeled)
    boxes = [corners(facts.reading, _rows(image, facts.reading), image.size)
             if facts.reading and image.stated.boxes is not None else None for image in labeled]

    alone = bool(labeled) and all(box is None for box in boxes)

    def fits(unit: str, in_row: str, orders: list[tuple[int, ...]]) -> Iterator[tuple[float, float]]:
        """For each order of points: the share that lies at the boxes, how much a face the shape is (1: unknown)."""
        found = [_placed(image, box, unit, in_row, first) for image, box in zip(labeled, boxes)]
        near = np.concatenate([_near(points, box, image.size) for points, box, image in zip(found, boxes, labeled)])
        if alone:       # then the places of all faces show whether their unit is right
            faces = np.concatenate(found)
            sizes = np.repeat([image.size for image in labeled], [len(image.points) for image in labeled], axis=0)
            corners = np.hstack([np.nanmin(faces, axis=1), np.nanmax(faces, axis=1)])
            near = near & ~np.bool_(_speaks_against(Reading("x1 y1 x2 y2", "pixels"), corners, sizes, len(labeled))[1])
        for order in orders:
            yield near.mean(), _shape(np.concatenate(found)[:, list(order)]) if POINTS == FACIAL_POINTS else 1.0

    def look(key: tuple) -> Callable[[_Image, np.ndarray], np.ndarray]:
        return lambda image, box: _placed(image, box, *key[:2], first)[:, list(key[2])]

    if not labeled:
        return look(plain)
    (near, shape), = fits(*plain[:2], [plain[2]])
    if near >= 0.5 and shape >= SHAPE:
        return look(plain)
    units = [unit, *(UNITS if np.isfinite([image.size for image in labeled]).all() else ()),
             *["shares of the box"] * all(box is not None for box in boxes)]
    orders, good = list(permutations(plain[2])) if POINTS == FACIAL_POINTS else [plain[2]], {}
    labeled, boxes = labeled[:SAMPLED // 5], boxes[:SAMPLED // 5]
    for unit, in_row in product(units, {"": [""], "x y": ["", "x .. y .."], "x .. y ..": ["", "x y"]}[form.in_row]):
        for order, (inside, shaped) in zip(orders, fits(unit, in_row, orders)):
            if inside > 0.9 and shaped > SHAPE:
                changes = sum(a != b for a, b in zip((unit, in_row, order), plain))
                good.setdefault((unit, in_row, order), (changes, -shaped))
    if not good:
        raise UserError(f"{source}: its landmarks are not those of upright faces in the order {', '.join(POINTS)}: "
                        f"{near:.0%} lie at their boxes, and they have the shape of a face in no order; check their "
                        "order and their unit")
    best = min(good, key=good.get)
    facts.relative = best[0] in UNITS and UNITS[best[0]] is not None
    said = [f"in {best[0]}"] * (best[0] != plain[0]) + [f"as `{best[1]}`"] * (best[1] != "") + \
        [f"in the order {', '.join(POINTS[best[2].index(i)] for i in range(len(POINTS)))}"] * (best[2] != plain[2])
    facts.notes.append(f"the landmarks are read {' and '.join(said)}; as {form.name} promises them, "
                       + ("they would lie in a corner of their images" if near < 0.5 and alone else
                          f"{1 - near:.0%} would lie away from their boxes" if near < 0.5 else
                          "most would not have the shape of an upright face"))
    return look(best)


def _placed(image: _Image, boxes: np.ndarray | None, unit: str, other: str, first: int) -> np.ndarray:
    """The points (N, P, 2) px of an image, from one unit and another order of the numbers in a row, "" for the form's.
    """
    points = image.points
    if other == "x y":
        points = points.transpose(0, 2, 1).reshape(-1, len(POINTS), 2)
    elif other:
        points = points.reshape(-1, 2, len(POINTS)).transpose(0, 2, 1)
    if unit == "shares of the box":
        return boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
    return points - first if UNITS[unit] is None else points * image.size / UNITS[unit]


def _near(points: np.ndarray, boxes: np.ndarray | None, size: np.ndarray) -> np.ndarray:
    """Points (N, P, 2) px that are labeled -> bool (K,): which lie in the box (N, 4) of their face or close to it, or
    where there are no boxes, in the image of this size."""
    alone = boxes is None
    boxes = np.tile([0, 0, *size], (len(points), 1)) if alone else boxes
    room = MARGIN * (boxes[:, None, 2:] - boxes[:, None, :2])
    inside = ~((points < boxes[:, None, :2] - room) | (points > boxes[:, None, 2:] + room)).any(axis=2)
    if alone:           # then all points of a face in a pixel or two are in another unit, too
        inside &= (points.max(axis=1, keepdims=True) - points.min(axis=1, keepdims=True) > TINY).any(axis=2)
    return inside[np.isfinite(points).all(axis=2)]


def _shape(points: np.ndarray) -> float:
    """Points (N, 5, 2) -> how much they are upright faces: the median of `likeness`; 1 where fewer than FEW have all
    points, 0 where most are upside down."""
    points = points[np.isfinite(points).all(axis=(1, 2))]
    return float(np.median(likeness(points))) if len(points) >= FEW else 1.0


def _rows(image: _Image, reading: Reading) -> np.ndarray:
    return _columns(image.rows) if reading.columns else image.rows


def _doubts(images: list[_Image], reading: Reading | None, to_points: Callable) -> Iterator[str]:
    """What is odd about some of the images whose size is known (doubts.py)."""
    for made in (False, True):      # with boxes; with points alone, whose extent stands for a box
        chosen = [image for image in images if len(image.invalid) and np.isfinite(image.size).all()
                  and (image.stated.boxes is None) == made and (made or reading)]
        if chosen:
            rows = [None if made else _rows(image, reading) for image in chosen]
            points = [to_points(image, None if made else corners(reading, each, image.size))
                      for image, each in zip(chosen, rows)]
            sizes = np.repeat([image.size for image in chosen], [len(each) for each in points], axis=0)
            if made:
                rows = [np.hstack([each.min(axis=1), each.max(axis=1)]) for each in points]
            counts = [len(each) for each in rows]
            kept = ~np.concatenate([image.invalid for image in chosen])
            extent = Reading("x1 y1 x2 y2", "pixels")
            note = _speaks_against(extent, np.concatenate(rows), sizes, len(chosen))[2] if made else ""
            if note:
                yield f"the landmarks {note}"
            seen = Seen(np.concatenate(rows)[kept], sizes[kept], np.repeat(np.arange(len(chosen)), counts)[kept],
                        [image.place.path for image in chosen], np.concatenate(points)[kept])
            yield from doubts(seen, extent if made else reading)


def _off_middle(boxes: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Boxes (N, 4), middles of their points (N, 2), NaN where unknown, px -> bool (N,): which lie OFF the middle."""
    places = (centers - boxes[:, :2]) / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9)
    return (abs(places - 0.5) > OFF).any(axis=1)


def _off_center(images: list[_Image], reading: Reading | None, to_points: Callable) -> str:
    """What is strange about the places of landmarks in most boxes, or ""."""
    off, count = 0, 0
    for image in _some([image for image in images if reading and np.isfinite(image.points).any()]):
        boxes = corners(reading, _rows(image, reading), image.size)
        points = to_points(image, boxes)
        whole = np.isfinite(points).all(axis=(1, 2)) & ~image.invalid
        off += int(_off_middle(boxes[whole], points[whole].mean(axis=1)).sum())
        count += int(whole.sum())
    return f"{off} of {count} faces have their landmarks far from the middle of their boxes" if 2 * off > count else ""


def _finish(image: _Image, reading: Reading | None, to_points: Callable[[_Image, np.ndarray], np.ndarray]
            ) -> AnnotatedImage:
    """An image with what was decided -> AnnotatedImage. BadLabel for a box that is none or lies beside its image."""
    if image.stated.boxes is None:
        points = to_points(image, None)
        boxes = face_box(points)
    else:
        boxes = corners(reading, _rows(image, reading), image.size) if reading else image.rows
        points = to_points(image, boxes)
        lost = (points == 0).all(axis=2) & ~((boxes[:, None, :2] <= 0).all(axis=2))     # 0 0 stands for a hidden point
        points = np.where(lost[..., None], np.nan, points)
        near = _near(points, boxes, image.size)
        if 2 * near.sum() < len(near):
            raise BadLabel("most of its landmarks lie away from their boxes", "landmarks away from their boxes")
    annotated = annotate(image.place.path, np.float32(boxes) * np.float32(image.scale), image.invalid,
                         np.float32(points) * np.float32(image.scale))
    if image.place.size is not None:
        try:
            require_inside(annotated, *image.place.size)
        except UserError as error:
            raise BadLabel(str(error), "a box beside its image") from None
    return annotated
