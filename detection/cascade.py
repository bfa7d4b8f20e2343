"""The detector: P-Net proposes windows, R-Net rejects most of them, O-Net decides and finds the landmarks."""
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from config import (
    BOTTOM_ODDS,
    CASCADE,
    CROPS,
    FLIP_BELOW,
    HEADS,
    LEVEL_NMS,
    MIN_FACE_SIZE,
    MODEL,
    PNET,
    PNET_STRIDE,
    POINTS,
    POINTS_BOX,
    POINTS_CENTER,
    PYRAMID_FACTOR,
    SIZE_FALL,
    SIZE_OCTAVES,
    SIZE_ODDS,
    VOTE_IOU,
    VOTE_TRUST,
    VOTES_EXPECTED,
)
from detection import boxes as bx
from detection import images as im
from detection import odds, pyramid
from detection.engines import CascadeNet, Net, named
from detection.types import Floats, Image, Indices, Mask

PROPOSAL, REFINE, OUTPUT = range(3)                                # P-Net, R-Net, O-Net: places in CASCADE
OVERLAPS = {"iou": bx.iou, "minimum": bx.minimum_overlap}
NEAR = bx.overlapping_cells(PNET.size, PNET_STRIDE, LEVEL_NMS)     # cells whose windows suppress each other


@dataclass
class Faces:
    """The faces found in one image, best first.

    boxes float32 (N, 4) px, x1 y1 x2 y2, not clipped to the image; scores (N,) 0..1; landmarks (N, 5, 2) px: left eye,
    right eye, nose, left and right mouth corner as seen in the image, or the POINTS of config.py if they are others.
    After P-Net and R-Net, and where O-Net was trained without landmarks, landmarks are (0, 5, 2). Scores after O-Net
    are the evidence of all that saw the face, see `Detector._merge`. Every score is at or above the threshold of the
    last net that ran.
    """
    boxes: Floats = field(default_factory=lambda: bx.empty(0, 4))
    scores: Floats = field(default_factory=lambda: bx.empty(0))
    landmarks: Floats = field(default_factory=lambda: bx.empty(0, len(POINTS), 2))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: Indices | Mask) -> "Faces":
        """The faces at these indices (K,), or where a mask (N,) is true."""
        return Faces(self.boxes[index], self.scores[index], self.landmarks[index] if len(self.landmarks) else
                     self.landmarks)

    def clipped(self, shape: Sequence[int]) -> "Faces":
        """The same faces with their boxes (N, 4) inside an image of this shape (H, W, ...), px with fractions;
        the landmarks stay."""
        return Faces(bx.clip(self.boxes, shape[1], shape[0]), self.scores, self.landmarks)

    def turned_back(self, quarters: int, shape: Sequence[int]) -> "Faces":
        """Faces of np.rot90(image, quarters) -> the same in the image of this shape (H, W, ...)."""
        def points(p: Floats) -> Floats:        # (..., 2) px
            x, y = p[..., 0], p[..., 1]
            return np.stack([(x, y), (shape[1] - y, x), (shape[1] - x, shape[0] - y), (y, shape[0] - x)][quarters], -1)
        corners = points(self.boxes.reshape(-1, 2, 2))
        return Faces(np.hstack([corners.min(axis=1), corners.max(axis=1)]), self.scores, points(self.landmarks))

    def largest(self) -> "Faces":
        """The face whose box has the largest area, alone; no face of none."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return self.take(np.argsort(-sides.prod(axis=1), kind="stable")[:1])


class Detector:
    """Finds faces in uint8 BGR images.

    model: the folder with pnet.npz, rnet.npz, onet.npz, or up to three nets (`engines.CascadeNet`). min_face_size: px,
    the smallest face that is searched for. thresholds: of the face score after P-, R- and O-Net, 0..1. factor: from
    one pyramid level to the next. stages: how many nets run, 1 to 3; fewer where fewer are given. mining: P-Net and
    R-Net propose by their thresholds alone, as the next net shall learn from all of it: without support, sizes and
    light. largest: the last net's largest face only. rotate: the image is also turned by 90, 180 and 270 degrees, for
    four times the time, and the faces are those of the turn whose scores have the largest sum, in the image's own px;
    landmarks keep the order of the upright face. engine: the name of one, see `engines`; by default the fastest that is
    installed. ValueError for a number out of its range, UserError where weights or an engine are missing or config.py
    contradicts itself.

    Any number of threads may share one Detector; each gets the faces that it would get alone. A net has at most one
    interpreter per processor, and further threads wait. Detectors can be pickled, for processes that start afresh, and
    copied. `close`, or the end of a `with`, gives the nets back; no thread may be detecting then.
    """

    def __init__(self, model: Path | str | Sequence[CascadeNet] = MODEL, min_face_size: float = MIN_FACE_SIZE,
                 thresholds: Iterable[float] | None = None, factor: float = PYRAMID_FACTOR, stages: int = len(CASCADE),
                 largest: bool = False, rotate: bool = False, engine: str | None = None, mining: bool = False):
        if not 1 <= stages <= len(CASCADE):
            raise ValueError(f"stages must be 1 to {len(CASCADE)}, not {stages}")
        given = None if isinstance(model, (str, Path)) else list(model)
        if given is not None and not 1 <= len(given) <= len(CASCADE):
            raise ValueError(f"model must be 1 to {len(CASCADE)} nets, not {len(given)}")
        stages = stages if given is None else min(stages, len(given))
        thresholds = [stage.threshold for stage in CASCADE] if thresholds is None else list(thresholds)
        if len(thresholds) < stages or not all(0 <= t <= 1 for t in thresholds):
            raise ValueError(f"thresholds must be {stages} numbers from 0 to 1, not {thresholds}")
        if not 0 < factor < 1:
            raise ValueError(f"factor must lie between 0 and 1, not {factor}")
        if not min_face_size >= 1:
            raise ValueError(f"min_face_size must be at least 1 px, not {min_face_size}")
        bx.check_mirror_order()
        self.min_face_size, self.thresholds, self.factor, self.stages = min_face_size, thresholds, factor, stages
        self.largest, self.rotate, self.mining = largest, rotate, mining
        make = named(engine) if engine else None
        self.nets: list[CascadeNet] = given[:stages] if given is not None else \
            [Net.load(model, stage, stage.heads, make) for stage in CASCADE[:stages]]

    @property
    def has_landmarks(self) -> bool:
        """Whether the faces have landmarks: all three nets run, and O-Net was trained with landmarks."""
        return len(self.nets) == len(CASCADE) and "landmark" in getattr(self.nets[OUTPUT], "heads", HEADS)

    def close(self) -> None:
        """Gives the memory of the nets back. Detecting is a ValueError from then on; closing again does nothing."""
        self.nets = []

    def __enter__(self) -> "Detector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def detect(self, image: Image) -> Faces:
        """uint8 (H, W, 3) BGR -> Faces. ValueError for any other array."""
        return self.trace(image)[-1]

    def detect_batch(self, images: Iterable[Image]) -> list[Faces]:
        """Images of any sizes -> their Faces, in order."""
        return [self.detect(image) for image in images]

    def trace(self, image: Image) -> list[Faces]:
        """uint8 (H, W, 3) BGR -> the Faces after each net that runs: P-Net, R-Net, O-Net."""
        self._check(image)
        turns = [self._trace(image)]
        for quarters in (1, 2, 3) if self.rotate else ():
            turned = np.ascontiguousarray(np.rot90(image, quarters))
            turns.append([faces.turned_back(quarters, image.shape) for faces in self._trace(turned)])
        found = max(turns, key=lambda stages: stages[-1].scores.sum())         # the first, upright, of equal ones
        return [*found[:-1], found[-1].largest()] if self.largest else found

    def _trace(self, image: Image) -> list[Faces]:
        """As `trace`, of the image as it stands."""
        scales = self._scales(image)
        found = [self._propose(scales)]
        for step in (self._refine, self._output)[:self.stages - 1]:
            found.append(step(scales, found[-1]))
        return found

    def refine(self, image: Image, proposals: Floats) -> Faces:
        """uint8 (H, W, 3) BGR, proposals (N, 4) px -> the Faces that R-Net and O-Net make of them, in a fraction of the
        time of `detect`: for videos, where the faces of the frame before are near. ValueError without all three nets;
        `largest` and `rotate` have no effect."""
        self._check(image)
        if self.stages < len(CASCADE):
            raise ValueError(f"refine needs all three nets, and this Detector has {self.stages}")
        scales = self._scales(image)
        return self._output(scales, self._refine(scales, Faces(proposals, np.ones(len(proposals), np.float32))))

    def propose(self, image: Image) -> Faces:
        """P-Net over the image pyramid: NMS within each level, then across levels; boxes corrected by their offsets."""
        self._check(image)
        return self._propose(self._scales(image))

    def limits(self, net: int, octaves: Floats, below: Mask | bool = False) -> Floats:
        """Octaves (N,) by which windows are larger than the smallest face that is searched for, and for P-Net whether
        the bottom border cuts them (N,) -> what the scores of a net, 0 to 2, must reach in them (N,): its threshold.
        P-Net's is higher for small windows and lower for cut ones, P-Net's and R-Net's are lower for large ones: of
        these there are few. Not in mining."""
        if self.mining or net == OUTPUT:
            return np.full(len(octaves), self.thresholds[net], np.float32)
        factors = SIZE_ODDS[net] * SIZE_FALL[net] ** np.clip(octaves, 0, SIZE_OCTAVES)
        return odds.multiplied(self.thresholds[net], np.where(below, BOTTOM_ODDS * factors, factors))

    def octaves(self, windows: Floats) -> Floats:
        """Square windows (N, 4) px -> by how many octaves (N,) they are larger than the smallest face."""
        return np.log2((windows[:, 2] - windows[:, 0]) / self.min_face_size)

    def _check(self, image: Image) -> None:
        """ValueError unless this is an image and the detector is open."""
        im.check(image)
        if not self.nets:
            raise ValueError("this Detector is closed; make another one")

    def _scales(self, image: Image) -> list[Image]:
        """The half scales of an image, brightened in dim or colored light; not in mining."""
        scales = im.half_scales(image)
        return scales if self.mining else im.brightened(scales)

    def _propose(self, scales: list[Image]) -> Faces:
        layout = pyramid.layout(*scales[0].shape[:2], self.min_face_size, self.factor)
        if layout is None:
            return Faces()
        whole, rows, columns, scores, offsets, levels, limits = self._scan(pyramid.pack(scales, layout), layout)
        keep = bx.grid_nms(rows, columns, scores, NEAR)
        if not self.mining:
            keep = keep[layout.supported(whole, rows[keep], columns[keep], levels[keep], limits[keep])]
        windows = layout.windows_of(rows[keep], columns[keep], levels[keep])
        scores, offsets = scores[keep], offsets[keep]
        if layout.levels_may_overlap(PNET.nms):
            keep = bx.nms(windows, scores, PNET.nms, OVERLAPS[PNET.overlap])
            windows, scores, offsets = windows[keep], scores[keep], offsets[keep]
        return Faces(bx.decode(offsets, windows), scores)

    def _scan(self, packed: Image, layout: pyramid.Layout) -> list[np.ndarray]:
        """Packed pyramid -> P-Net's map of scores (h, w), and its cells at or above their limits, each within one
        level: rows, columns, scores (N,), offsets (N, 4), levels, limits (N,)."""
        found, lowest = [], self.limits(PROPOSAL, layout.octaves, below=True).min()
        whole = np.empty([(side - PNET.size) // PNET_STRIDE + 1 for side in packed.shape[:2]], np.float32)
        for top, bottom in layout.strips():
            face, box = self.nets[PROPOSAL].maps(packed[top:bottom])                   # (h, w, 2), (h, w, 4)
            first = top // PNET_STRIDE
            whole[first:first + len(face)] = face[..., 1]
            rows, columns = np.nonzero(face[..., 1] >= lowest)
            found.append((rows + first, columns, face[rows, columns, 1], box[rows, columns]))
        rows, columns, scores, offsets = (np.concatenate(arrays) for arrays in zip(*found))
        levels = layout.levels_of(rows, columns)
        below = layout.below(layout.corners_of(rows, columns, levels), levels)
        limits = self.limits(PROPOSAL, layout.octaves[levels], below)
        chosen = (levels >= 0) & (scores >= limits)
        return [whole, *(array[chosen] for array in (rows, columns, scores, offsets, levels, limits))]

    def _refine(self, scales: list[Image], proposals: Faces) -> Faces:
        """R-Net on the proposals: boxes corrected, NMS."""
        found, _ = self._classify(REFINE, scales, proposals)
        return found.take(self._nms(REFINE, found))

    def _output(self, scales: list[Image], proposals: Faces) -> Faces:
        """O-Net on R-Net's boxes: boxes corrected, NMS, box voting, landmarks."""
        return self._refine_landmarks(scales, self._merge(*self._classify(OUTPUT, scales, proposals)))

    def _classify(self, net: int, scales: list[Image], proposals: Faces) -> tuple[Faces, Floats]:
        """R-Net or O-Net on the windows of proposals (N) -> Faces (K) with a score at or above the net's threshold,
        boxes corrected, landmarks of O-Net as it sees them there; and their windows (K, 4).

        O-Net's scores are combined with those of the proposals. With a flip pass, the net also sees flipped the windows
        whose combined score reaches the threshold, unless its own is FLIP_BELOW or more: each window that it sees twice
        has the mean offsets of both passes, and none is dropped, as `_merge` decides about the face.
        """
        windows = bx.windows(proposals.boxes)
        parts = [self._judge(net, crops, windows[some], proposals.scores[some])
                 for some, crops in self._crops(net, scales, windows)]
        windows, scores, offsets, points = (np.concatenate(part) for part in zip(*parts))
        landmarks = bx.decode_points(points, windows) if net == OUTPUT and self.has_landmarks else Faces().landmarks
        return Faces(bx.decode(offsets, windows), scores, landmarks), windows

    def _judge(self, net: int, crops: Image, windows: Floats, before: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """As `_classify`: crops of windows (N, 4) with scores before (N,) -> windows (K, 4), scores (K,), offsets
        (K, 4), relative points (K, 2P), or (K, 0) of a net without landmarks."""
        own, offsets, points = self._predict(net, crops)
        found = self._combine(before, own) if net == OUTPUT else own
        passed = found >= self.limits(net, self.octaves(windows))
        if CASCADE[net].flip_pass:
            unsure = passed & (own < FLIP_BELOW)
            flipped, flipped_offsets, _ = self._predict(net, crops[unsure], flip=True)
            found[unsure] = self._combine(before[unsure], own[unsure], flipped)
            offsets[unsure] = (offsets[unsure] + flipped_offsets) / 2
        return windows[passed], found[passed], offsets[passed], points[passed]

    def _predict(self, net: int, crops: Image, flip: bool = False) -> tuple[Floats, Floats, Floats]:
        """R-Net or O-Net on crops (N, size, size, 3) -> face scores (N,), offsets (N, 4), relative points (N, 2P), or
        (N, 0) of a net without landmarks. flip: the net sees the crops flipped horizontally; offsets and points are
        those of the crops all the same."""
        face, offsets, *rest = self.nets[net](im.mirror(crops) if flip else crops)
        points = rest[0] if rest else bx.empty(len(crops), 0)
        if flip:
            offsets, points = offsets @ bx.MIRROR_OFFSETS, bx.mirror_points(points) if rest else points
        return face[:, 1], offsets, points

    @staticmethod
    def _nms(net: int, found: Faces) -> Indices:
        """Indices (K,) of the faces that the NMS of this net keeps, best first."""
        return bx.nms(found.boxes, found.scores, CASCADE[net].nms, OVERLAPS[CASCADE[net].overlap])

    @staticmethod
    def _combine(before: Floats, *own: Floats) -> Floats:
        """R-Net's scores (N,) of windows, O-Net's (N,) of them and of them flipped -> their scores (N,)."""
        return odds.combined(before, *own)

    def _merge(self, found: Faces, windows: Floats) -> Faces:
        """Faces (N) and the windows (N, 4) that they were found in -> one per face: NMS, box voting, and a score for
        all the evidence; landmarks are those of the best window. Faces whose score is below the threshold are
        dropped."""
        keep = self._nms(OUTPUT, found)
        voters = bx.voters(found.boxes, keep, VOTE_IOU)
        faces = Faces(self._vote(found, windows, voters, keep), odds.with_evidence(
            found.scores[keep], self._evidence(found, voters, len(keep))), found.take(keep).landmarks)
        best = np.argsort(-faces.scores, kind="stable")
        return faces.take(best[faces.scores[best] >= self.thresholds[OUTPUT]])

    @staticmethod
    def _vote(found: Faces, windows: Floats, voters: tuple[Indices, Mask], keep: Indices) -> Floats:
        """Faces (N), their windows (N, 4), voters (N,) of those to keep (K,) -> boxes (K, 4). The less a window had to
        be corrected, the better its box is, so its vote counts more."""
        trust = bx.iou_of_pairs(windows, bx.square(found.boxes)) ** VOTE_TRUST
        return bx.vote(found.boxes, found.scores * trust, *voters, len(keep))

    @staticmethod
    def _evidence(found: Faces, voters: tuple[Indices, Mask], count: int) -> Floats:
        """Faces (N), voters (N,) of `count` of them (K) -> what multiplies their odds (K,): the sum of their voters'
        scores. A face is found in many windows, a false positive in few."""
        choice, votes = voters
        return np.bincount(choice, votes * found.scores, minlength=count) / VOTES_EXPECTED

    def _refine_landmarks(self, scales: list[Image], faces: Faces) -> Faces:
        """Landmark refinement pass: O-Net on a square like those in which it learned landmarks, plain and flipped;
        landmarks are the mean of both. The face's box says how large the square is, the landmarks so far where it is.
        None where O-Net was trained without landmarks."""
        if not self.has_landmarks:
            return faces
        squares = bx.inner(faces.boxes, *POINTS_BOX)
        if POINTS_CENTER is not None:
            sides = squares[:, 2:] - squares[:, :2]
            corners = faces.landmarks.mean(axis=1) - sides * np.float32(POINTS_CENTER)
            squares = np.hstack([corners, corners + sides])
        windows = bx.windows(squares)
        points = np.concatenate([self._predict(OUTPUT, crops)[-1] + self._predict(OUTPUT, crops, flip=True)[-1]
                                 for _, crops in self._crops(OUTPUT, scales, windows)]) / 2
        return Faces(faces.boxes, faces.scores, bx.decode_points(points, windows))

    @staticmethod
    def _crops(net: int, scales: list[Image], windows: Floats) -> Iterator[tuple[slice, Image]]:
        """Windows (N, 4) of an image -> which of them, the crops that the net sees, at most CROPS at a time; one empty
        batch if N is 0."""
        for i in range(0, max(len(windows), 1), CROPS):
            some = slice(i, i + CROPS)
            yield some, im.crop_scaled(scales, windows[some], CASCADE[net].size)
