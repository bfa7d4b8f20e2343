"""Tiles: square parts of pyramid levels, of TILE px, with the faces in them. P-Net can train on them: each cell of its
map is then a labeled window, as in detection, and a tile costs little more than two crops.

A tile cuts what the windows see: faces of about 12 px, and the background that most windows show. Some faces are cut by
a black edge, as by the border of an image.
"""
from typing import NamedTuple

import numpy as np

from config import (
    BORDER_VISIBLE,
    MIN_TRUTH_SIZE,
    NEGATIVE_IOU,
    PNET,
    PNET_BORDER,
    PNET_STRIDE,
    POSITIVE,
    PYRAMID_FACTOR,
    TILE,
    TILE_BORDER_CUT,
    TILE_FACES,
    TILE_LEVEL,
    TILE_ZOOM,
    TILES_OF_BACKGROUND,
    TILES_OF_FACES,
)
from detection import boxes as bx
from detection import images as im
from preprocess import labels, samples
from preprocess.labels import AnnotatedImage

TRUE, IGNORED, ABSENT = 1, 0, -1      # kinds of the rows of a tile's faces
SEEN = PNET.size * NEGATIVE_IOU ** 0.5 * 0.75     # px, longer side; a smaller face can never change a cell's label


class Tile(NamedTuple):
    """pixels uint8 (TILE, TILE, 3); faces float32 (TILE_FACES, 4) px; kinds int8 (TILE_FACES,): TRUE, IGNORED,
    ABSENT."""
    pixels: np.ndarray
    faces: np.ndarray
    kinds: np.ndarray


def windows() -> np.ndarray:
    """The windows (cells, 4), px, of P-Net's map of a tile, row by row."""
    corners = np.arange(0, TILE - PNET.size + 1, PNET_STRIDE, dtype=np.float32)
    y, x = (grid.ravel() for grid in np.meshgrid(corners, corners, indexing="ij"))
    return np.stack([x, y, x + PNET.size, y + PNET.size], axis=1)


def has_positive(tile: Tile) -> bool:
    """Whether a cell is a positive."""
    truth, ignored = (tile.faces[tile.kinds == kind] for kind in (TRUE, IGNORED))
    return bool((samples.label(windows(), truth, ignored, PNET.part_iou)[0] == POSITIVE).any())


def of_image(image: AnnotatedImage, pixels: np.ndarray, rng: np.random.Generator) -> list[Tile]:
    """One image, uint8 (H, W, 3) -> its tiles around faces, and, where all its faces are labeled, of the background."""
    height, width = pixels.shape[:2]
    truth, ignored = labels.split(image, MIN_TRUTH_SIZE)
    scales, tiles = im.half_scales(pixels), []
    faces, kinds = np.concatenate([truth, ignored]), np.repeat([TRUE, IGNORED], [len(truth), len(ignored)])
    least, each, most = TILES_OF_FACES
    chosen = np.tile(rng.permutation(len(truth)), most)[:min(least + each * len(truth), most)]
    for i in chosen:
        zoom = 2 ** rng.uniform(-TILE_ZOOM, TILE_ZOOM)
        side = max(bx.longer_side(truth[i:i + 1])[0] / PNET.size / zoom, 1.0) * TILE                # image px
        place = rng.uniform(PNET.size, TILE - PNET.size, 2) / TILE * side
        focus = int(i) if rng.random() < TILE_BORDER_CUT else None
        tiles.append(cut(scales, (truth[i, :2] + truth[i, 2:]) / 2 - place, side, faces, kinds, rng, focus))
    if image.complete:
        last = np.log(PNET.size / min(height, width)) / np.log(PYRAMID_FACTOR)
        for _ in range(TILES_OF_BACKGROUND):
            side = TILE * PYRAMID_FACTOR ** -np.clip(rng.exponential(TILE_LEVEL), 0, max(last, 0))
            border = PNET_BORDER * side / TILE
            room = np.maximum(np.array([width, height]) + 2 * border - side, 0)
            tiles.append(cut(scales, rng.random(2) * room - border, side, faces, kinds, rng))
    return [tile for tile in tiles if tile is not None]


def cut(scales: list[np.ndarray], corner: np.ndarray, side: float, faces: np.ndarray, kinds: np.ndarray,
        rng: np.random.Generator, focus: int | None = None) -> Tile | None:
    """Half scales of an image -> the tile of this corner (2,) and side, image px; None where it shows too many faces.

    faces (N, 4) px and kinds (N,) of the image. focus: number of a face that a border cuts.
    """
    x, y, side = round(float(corner[0])), round(float(corner[1])), max(round(float(side)), TILE)
    pixels = im.crop_scaled(scales, np.array([[x, y, x + side, y + side]]), TILE)[0]
    faces = (faces - np.array([x, y, x, y], np.float32)) * (TILE / side)
    if focus is not None:
        whole = bx.area(faces)
        pixels, faces = cut_by_border(pixels, faces, faces[focus], rng)
        kinds = np.where(bx.area(faces) < BORDER_VISIBLE[0] * whole, IGNORED, kinds)
    seen = (bx.area(bx.clip(faces, TILE, TILE)) > 0) & (bx.longer_side(faces) >= SEEN)
    if seen.sum() > TILE_FACES:
        return None
    rows = np.zeros((TILE_FACES, 4), np.float32), np.full(TILE_FACES, ABSENT, np.int8)
    for row, value in zip(rows, (faces[seen], kinds[seen])):
        row[:len(value)] = value
    return Tile(pixels, *rows)


def cut_by_border(pixels: np.ndarray, faces: np.ndarray, focus: np.ndarray, rng: np.random.Generator
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Tile, its faces (N, 4), the one in focus (4,) -> tile and faces, cut by a line across that face: beyond it the
    tile is black, and the faces end there."""
    axis, after = int(rng.integers(2)), rng.random() < 0.5       # 0: x, 1: y; whether what lies after the line is black
    visible = rng.uniform(*BORDER_VISIBLE) * (focus[axis + 2] - focus[axis])
    line = int(np.clip(np.round(focus[axis] + visible if after else focus[axis + 2] - visible), 0, TILE))
    pixels, faces = pixels.copy(), faces.copy()
    strip = np.moveaxis(pixels, 1 - axis, 0)                     # x first, or y
    strip[slice(line, None) if after else slice(line)] = 0
    for edge in (axis, axis + 2):
        faces[:, edge] = np.minimum(faces[:, edge], line) if after else np.maximum(faces[:, edge], line)
    return pixels, faces
