"""Face alignment: rotates, scales and crops faces so that eyes, nose and mouth always lie in the same places."""
import cv2
import numpy as np

from config import FACIAL_POINTS, POINTS
from detection.errors import UserError
from detection.types import Floats, Image

SIZE = 112   # px, the side of an aligned face

# Left eye, right eye, nose, left and right mouth corner (x, y) px in a 112 x 112 image: the template on which
# face recognition nets of the ArcFace family are trained. Source: deepinsight/insightface,
# python-package/insightface/utils/face_align.py, `arcface_src`; Deng et al., "ArcFace", CVPR 2019.
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                     [41.5493, 92.3655], [70.7299, 92.2041]], np.float32)


def require_facial_points(what: str) -> None:
    """UserError that names `what` if POINTS of config.py are not the five facial landmarks, which `what` needs."""
    if POINTS != FACIAL_POINTS:
        raise UserError(f"{what}: is made for the five points of a face, and POINTS in config.py names others; "
                        "leave it out, or restore the five points")


def similarity(source: Floats, target: Floats) -> Floats:
    """Points (N, 2), points (N, 2) -> (2, 3): the rotation, scale and shift that bring source closest to target.

    Closest in the sum of squared distances, without reflection: S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE PAMI 13(4), 1991, equations 38 to 43. Points that all coincide keep
    their scale.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    from_center, to_center = source.mean(axis=0), target.mean(axis=0)
    variance = ((source - from_center) ** 2).sum() / len(source)
    covariance = (target - to_center).T @ (source - from_center) / len(source)     # (2, 2)
    u, d, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])          # -1 would be a reflection
    scale = (d * sign).sum() / variance if variance > 0 else 1.0
    rotation = scale * (u * sign) @ vt
    return np.hstack([rotation, (to_center - rotation @ from_center)[:, None]])


def align(image: Image, landmarks: Floats, size: int = SIZE, margin: float = 0) -> Image:
    """uint8 (H, W, 3), landmarks (N, 5, 2) px -> uint8 (N, size, size, 3), black outside the image.

    margin: how much more is shown on each side, as a share of the side of what recognition nets expect. UserError
    if POINTS of config.py are not the five facial landmarks.
    """
    require_facial_points("aligning faces")
    # Landmarks and crops count from the image's corner, OpenCV and the template from the center of the first pixel.
    target = (TEMPLATE.astype(np.float64) + 0.5 + margin * SIZE) * (size / SIZE / (1 + 2 * margin)) - 0.5
    faces = np.empty((len(landmarks), size, size, 3), np.uint8)
    for face, points in zip(faces, landmarks):
        face[:] = cv2.warpAffine(image, similarity(points - 0.5, target), (size, size), flags=cv2.INTER_LINEAR)
    return faces
