"""How the box of a face and its five points relate: the box of a face of which only the points are labeled, and where
the points lie in the boxes of a set."""
import numpy as np

from config import FACIAL_POINTS, POINTS, POINTS_BOX
from detection import boxes as bx
from detection.align import TEMPLATE

SPREAD = 3.26       # sides of LFW/Net's boxes in root mean square distances of the five points from their center, which
                    # is nearly that of the box: median of 6,992 train images; the middle half lies in 3.09 to 3.44

MEASURED = 20       # faces with all points, at least, for a median that is worth more than POINTS_BOX: [ours]


def landmark_box(points: np.ndarray) -> np.ndarray:
    """Points (N, 5, 2) px -> square boxes (N, 4) like those of LFW/Net's list; NaN where a point is missing."""
    center = points.mean(axis=1)
    half = SPREAD / 2 * np.sqrt(np.square(points - center[:, None]).sum(axis=2).mean(axis=1))[:, None]
    return np.hstack([center - half, center + half]).astype(np.float32)


def face_box(points: np.ndarray) -> np.ndarray:
    """Points (N, 5, 2) px -> square boxes (N, 4) like those that are detected, in which POINTS_BOX describes LFW/Net's;
    NaN where a point is missing."""
    x1, y1, x2, y2 = landmark_box(points).T
    side = (x2 - x1) / POINTS_BOX[0]
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 - POINTS_BOX[1] * side
    return np.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2], axis=1).astype(np.float32)


def measured(boxes: np.ndarray, points: np.ndarray) -> tuple[float, float] | None:
    """Boxes (N, 4) of a set and their points (N, P, 2), px, NaN where one is missing -> where `landmark_box` lies in
    the squares of the boxes, as POINTS_BOX says it: medians of the faces with all points, rounded.

    None where they are fewer than MEASURED, or other points than the five of a face.
    """
    whole = np.isfinite(points).all(axis=(1, 2))
    if POINTS != FACIAL_POINTS or whole.sum() < MEASURED:
        return None
    inner, outer = landmark_box(points[whole]), boxes[whole]
    longer = bx.longer_side(outer)
    below = (inner[:, 1] + inner[:, 3] - outer[:, 1] - outer[:, 3]) / 2 / longer
    return round(float(np.median((inner[:, 2] - inner[:, 0]) / longer)), 2), round(float(np.median(below)), 2)


def likeness(points: np.ndarray) -> np.ndarray:
    """Points (N, 5, 2) -> how much each five are a face (N,): the share of their spread that the shape of an upright
    face explains, whatever its size and rotation; all are 0 where most are upside down."""
    z, face = (each[..., 0] + 1j * each[..., 1] for each in (points, TEMPLATE))
    z, face = z - z.mean(axis=1, keepdims=True), face - face.mean()
    turn = (z * face.conj()).sum(axis=1)
    spread = np.maximum((np.abs(z) ** 2).sum(axis=1) * (np.abs(face) ** 2).sum(), 1e-9)
    return np.abs(turn) ** 2 / spread * (len(turn) == 0 or (turn.real > 0).mean() > 0.5)
