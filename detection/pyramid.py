"""The image pyramid in one picture, so that P-Net looks at all levels in one call.

P-Net slides a 12 px window in steps of 2 px. A cell of its map sees just its own window, so levels may lie side by
side: the cells whose windows lie within one level say what they would say of that level alone, and those across two
levels are not looked at. A level of odd width or height is followed by black, as crops are outside of the image.
"""
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from config import CANVAS_STRIP, PNET, PNET_STRIDE
from detection import images


@dataclass(frozen=True)
class Plan:
    """Where the levels of an image of some size lie, largest first. All in px; scales are level px per image px."""
    shape: tuple            # (height, width) of the canvas
    strip: int              # height of the strips in which P-Net sees the canvas; the last one ends with it
    corners: np.ndarray     # (L, 2) x, y of each level, even
    sizes: np.ndarray       # (L, 2) width, height
    scales: np.ndarray      # (L, 2) float32, x and y

    def strips(self):
        """Yields (top, bottom) of the strips; neighbours share the rows that only together hold a window."""
        step = self.strip - (PNET.size - PNET_STRIDE)
        return [(top, top + self.strip) for top in range(0, self.shape[0] - self.strip + 1, step)]

    def levels_of(self, rows, columns):
        """Cells of P-Net's map of the canvas, rows, columns (N,) -> index (N,) of their level; -1 across levels."""
        first = self.corners // PNET_STRIDE
        last = first + (self.sizes + self.sizes % PNET_STRIDE - PNET.size) // PNET_STRIDE
        levels = np.full(len(rows), -1)
        for i, ((left, top), (right, bottom)) in enumerate(zip(first, last)):
            levels[(rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)] = i
        return levels

    def levels_may_overlap(self, threshold):
        """Whether windows of two levels can have an IoU above that: it is at most the ratio of their areas."""
        areas = self.scales.prod(axis=1)
        return bool((areas[1:] / areas[:-1]).max(initial=0) > threshold)


@lru_cache(maxsize=64)
def plan(height, width, min_face_size, factor):
    """Size of an image in px -> Plan, or None where no window of P-Net fits into it."""
    sizes = images.level_sizes(height, width, min_face_size, PNET.size, factor)
    if not sizes:
        return None
    spaces = [(w + w % 2, h + h % 2) for w, h in sizes]
    tried = [pack(spaces, w) for w in _widths(spaces)]
    corners, canvas_width, bottom = min(tried, key=lambda layout: layout[1] * layout[2])
    overlap = PNET.size - PNET_STRIDE
    most = max(CANVAS_STRIP // canvas_width, 4 * PNET.size)
    count = max(-(-(bottom - overlap) // (most - overlap)), 1)
    step = -(-(bottom - overlap) // count)
    strip = step + step % PNET_STRIDE + overlap
    sizes = np.array(sizes)
    return Plan((count * (strip - overlap) + overlap, canvas_width), strip, np.array(corners), sizes,
                (sizes / (width, height)).astype(np.float32))


def _widths(spaces):
    """Widths worth trying: that of the largest level, alone and with each of the others beside it."""
    first = spaces[0][0]
    return sorted({first, *(first + w for w, _ in spaces[1:])})


def pack(spaces, width):
    """Rectangles (w, h), largest first, into a canvas of this width -> (corners x y, width, height used).

    Each goes into the free rectangle in which it leaves the least, and what is left there is cut in two; the last free
    rectangle has no lower end.
    """
    endless = 1 << 30
    free, corners = [(0, 0, width, endless)], []                  # x, y, width, height
    for w, h in spaces:
        fits = [f for f in free if f[2] >= w and f[3] >= h]
        x, y, free_width, free_height = best = min(fits, key=lambda f: (f[3], f[2] - w))
        free.remove(best)
        corners.append((x, y))
        if free_height == endless:
            below, beside = (x, y + h, free_width, endless), (x + w, y, free_width - w, h)
        else:
            below, beside = (x, y + h, w, free_height - h), (x + w, y, free_width - w, free_height)
        free += [part for part in (beside, below) if part[2] > 0 and part[3] > 0]
    return corners, width, max(y + h for (_, y), (_, h) in zip(corners, spaces))


def draw(halved, layout):
    """Halvings of an image, Plan of their size -> uint8 canvas."""
    canvas = np.zeros((*layout.shape, 3), np.uint8)
    for (x, y), (w, h) in zip(layout.corners.tolist(), layout.sizes.tolist()):
        canvas[y:y + h, x:x + w] = images.shrink(halved, w, h)
    return canvas
