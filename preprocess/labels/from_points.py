"""The box of a face of which only the five points are labeled, and what readers of such forms share."""
import numpy as np

from config import POINTS_BOX

SPREAD = 3.26       # sides of LFW/Net's boxes in root mean square distances of the five points from their center, which
                    # is nearly that of the box: median of 6,992 train images; the middle half lies in 3.09 to 3.44


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
