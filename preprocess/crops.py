"""The geometry of crops: where the samples around a face and in the background lie, and how one is cut out.

All boxes are float32 (N, 4) x1 y1 x2 y2 on whole pixels, and square. Random ones follow from the generator given.
"""
from collections.abc import Sequence

import numpy as np

from config import CROP_SHIFT, CROP_SIDE, MAX_CROP, PNET
from detection import boxes as bx
from detection import images
from preprocess.samples import Sample


def squares(corner: np.ndarray, side: np.ndarray) -> np.ndarray:
    """corner (N, 2), side (N,), px -> boxes (N, 4) on whole pixels, both rounded down."""
    corner, side = np.floor(corner), np.floor(side)[:, None]
    return np.hstack([corner, corner + side]).astype(np.float32)


def pushed_in(crops: np.ndarray, width: int, height: int) -> np.ndarray:
    """crops (N, 4) -> (M, 4): each moved into the image by the shortest way; larger ones are left out."""
    crops = crops[((crops[:, 2:] - crops[:, :2]) <= (width, height)).all(axis=1)]
    beyond = np.maximum(crops[:, 2:] - (width, height), 0) + np.minimum(crops[:, :2], 0)     # (M, 2)
    return (crops - np.tile(beyond, 2)).astype(np.float32)


def sample_sides(rng: np.random.Generator, width: int, height: int, count: int) -> np.ndarray:
    """Sides of negatives, px, int (count,): 12 to half the image's shorter side, every octave equally often.

    All are 12 in an image under 24 px. The baselines sample sides uniformly, which gives mostly large negatives,
    while most windows of P-Net are small.
    """
    largest = max(min(width, height) // 2, PNET.size)
    return np.floor(np.exp(rng.uniform(np.log(PNET.size), np.log(largest + 1), count))).astype(int)


def background(rng: np.random.Generator, width: int, height: int, count: int) -> np.ndarray:
    """Crops anywhere in an image of that size, px: (count, 4); none in one under 12 px."""
    if min(width, height) < PNET.size:
        return bx.empty(0, 4)
    sides = sample_sides(rng, width, height, count)
    corner = rng.random((count, 2)) * (np.array([width, height]) - sides[:, None] + 1)
    return squares(corner, sides)


def near(rng: np.random.Generator, face: np.ndarray, width: int, height: int, count: int) -> np.ndarray:
    """Crops in the image that touch the face (4,): at most (count, 4)."""
    sides = sample_sides(rng, width, height, count)
    low = np.maximum(-sides[:, None], -face[:2])                                       # (count, 2)
    corner = face[:2] + low + rng.random((len(sides), 2)) * (face[2:] - face[:2] - low)
    return pushed_in(squares(corner, sides), width, height)


def around(rng: np.random.Generator, face: np.ndarray, count: int) -> np.ndarray:
    """Crops of about the place and size of the face (4,), which may leave the image: (count, 4)."""
    face_side = face[2:] - face[:2]
    low, high = int(CROP_SIDE[0] * face_side.min()), int(np.ceil(CROP_SIDE[1] * face_side.max()))
    sides = rng.integers(max(low, 1), max(high, 1), count, endpoint=True)
    shift = rng.uniform(-CROP_SHIFT, CROP_SHIFT, (count, 2)) * face_side
    return squares((face[:2] + face[2:]) / 2 + shift - sides[:, None] / 2, sides)


def check(sample: Sample, shape: Sequence[int]) -> None:
    """ValueError where the crop of a sample is empty, or far larger than its image of this shape (H, W, ...)."""
    x1, y1, x2, y2 = sample.crop.tolist()
    if not 0 < min(x2 - x1, y2 - y1) <= max(x2 - x1, y2 - y1) <= MAX_CROP * max(shape):
        raise ValueError(f"its crop is empty, or far larger than the image of {shape[1]} x {shape[0]} px")


def cut(image: np.ndarray, chosen: Sequence[Sample], size: int) -> np.ndarray:
    """uint8 (H, W, 3), samples (N) of it -> their pixels uint8 (N, size, size, 3)."""
    boxes = np.array([sample.crop for sample in chosen]).reshape(-1, 4)
    pixels = images.crop_scaled(images.half_scales(image), boxes, size)
    for out, sample in zip(pixels, chosen):
        if sample.rotation:
            out[:] = images.rotated_crop(image, sample.crop, size, sample.rotation)
        if sample.mirror:
            out[:] = images.mirror(out).copy()
    return pixels
