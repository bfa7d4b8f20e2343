"""Turns, scales and cuts faces so that eyes, nose and mouth always lie in the same places."""
import cv2
import numpy as np

from config import FACIAL_POINTS, POINTS
from detection.errors import UserError

SIZE = 112   # px, the side of an aligned face

# Left eye, right eye, nose, left and right mouth corner (x, y) px in a 112 x 112 picture: the template on which
# recognition nets of the ArcFace family are trained. Source: deepinsight/insightface,
# python-package/insightface/utils/face_align.py, `arcface_src`; Deng et al., "ArcFace", CVPR 2019.
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                     [41.5493, 92.3655], [70.7299, 92.2041]], np.float32)


def require_facial_points(what):
    """UserError where the nets find other points than a face's five, for which `what` is made."""
    if POINTS != FACIAL_POINTS:
        raise UserError(f"{what}: is made for the five points of a face, and POINTS in config.py names others; do "
                        "without it, or put those five back")


def similarity(source, target):
    """Points (N, 2), points (N, 2) -> (2, 3): the turn, scale and shift that bring source closest to target.

    Closest in the sum of squared distances, without mirroring: S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE PAMI 13(4), 1991, equations 38 to 43. Points that all coincide
    keep their scale.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    variance = ((source - from_centre) ** 2).sum() / len(source)
    covariance = (target - to_centre).T @ (source - from_centre) / len(source)     # (2, 2)
    u, d, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])          # -1 would be a mirror
    scale = (d * sign).sum() / variance if variance > 0 else 1.0
    turn = scale * (u * sign) @ vt
    return np.hstack([turn, (to_centre - turn @ from_centre)[:, None]])


def align(image, landmarks):
    """uint8 (H, W, 3), landmarks (N, 5, 2) px -> uint8 (N, 112, 112, 3), black outside the image."""
    require_facial_points("aligning faces")
    faces = np.empty((len(landmarks), SIZE, SIZE, 3), np.uint8)
    for face, points in zip(faces, landmarks):
        # Ours are measured from the image's corner, OpenCV's and the template's from the first pixel's centre.
        face[:] = cv2.warpAffine(image, similarity(points - 0.5, TEMPLATE), (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    return faces
