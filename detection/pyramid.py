"""The image pyramid, all levels packed into one image, so that P-Net runs on all of them in one call.

P-Net slides a 12 px window in steps of 2 px, and a cell of its map depends on its own window alone. So levels may lie
side by side: cells whose windows lie within one level are what P-Net gives on that level alone; cells whose windows
cross two levels are dropped. Around each level lie PNET_BORDER px of black, as crops are outside of the image, so that
a window may leave the image by that much: P-Net then finds faces that the image border cuts.
"""
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from config import PNET, PNET_BORDER, PNET_STRIDE, PYRAMID_STRIP, SUPPORT, SUPPORT_CELLS, SUPPORT_FALL
from detection import images
from detection.types import Floats, Image, Indices, Mask


@dataclass(frozen=True)
class Layout:
    """Where the levels of an image of one size lie in the packed pyramid, largest first. All in px."""
    shape: tuple[int, int]  # (height, width) of the packed pyramid
    strip: int              # height of the strips in which P-Net sees it; the last one ends with it
    corners: Indices        # (L, 2) x, y of each level, even
    sizes: Indices          # (L, 2) width, height
    scales: Floats          # (L, 2) float32, level px per image px in x and y
    octaves: Floats         # (L,) by which the windows of each level are larger in the image than those of the first

    def strips(self) -> list[tuple[int, int]]:
        """(top, bottom) of each strip; neighbors overlap, so that each window lies in one strip."""
        step = self.strip - (PNET.size - PNET_STRIDE)
        return [(top, top + self.strip) for top in range(0, self.shape[0] - self.strip + 1, step)]

    def cells(self) -> list[list[int]]:
        """Of each level left, top, right, bottom of its cells in P-Net's map of the packed pyramid; right and bottom
        edge exclusive."""
        first = (self.corners - PNET_BORDER) // PNET_STRIDE
        count = (self.sizes + self.sizes % PNET_STRIDE + 2 * PNET_BORDER - PNET.size) // PNET_STRIDE + 1
        return np.hstack([first, first + count]).tolist()

    def levels_of(self, rows: Indices, columns: Indices) -> Indices:
        """Cells of P-Net's map of the packed pyramid, rows, columns (N,) -> their level (N,); -1 across levels."""
        levels = np.full(len(rows), -1)
        for i, (left, top, right, bottom) in enumerate(self.cells()):
            levels[(rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)] = i
        return levels

    def corners_of(self, rows: Indices, columns: Indices, levels: Indices) -> Indices:
        """Cells, their levels (N,) -> x, y (N, 2) of their windows in the level, px; below 0 outside of the image."""
        return np.stack([columns, rows], axis=1) * PNET_STRIDE - self.corners[levels]

    def windows_of(self, rows: Indices, columns: Indices, levels: Indices) -> Floats:
        """Cells, their levels (N,) -> their windows in the image (N, 4) float32, px."""
        corners = self.corners_of(rows, columns, levels)
        return (np.hstack([corners, corners + PNET.size]) / np.tile(self.scales[levels], 2)).astype(np.float32)

    def below(self, corners: Indices, levels: Indices) -> Mask:
        """Corners (N, 2) of windows in their levels (N,) -> whether the bottom border cuts the windows (N,):
        that of the half scales, up to 3 px below the image's."""
        return corners[:, 1] + PNET.size > self.sizes[levels, 1]

    def supported(self, scores: Floats, rows: Indices, columns: Indices, levels: Indices, limits: Floats) -> Mask:
        """P-Net's scores of the packed pyramid (h, w); cells at or above their limits (N,), their rows, columns, levels
        (N,) -> whether the cells around each bear it out (N,).

        Their mean score, over SUPPORT_CELLS x SUPPORT_CELLS cells with 0 outside the level, must reach a share of the
        limit: SUPPORT on the first level, less on those of larger faces, of which there are fewer windows.
        """
        means = np.zeros(len(rows), np.float32)
        for i, (left, top, right, bottom) in enumerate(self.cells()):
            own = levels == i
            around = cv2.blur(scores[top:bottom, left:right], SUPPORT_CELLS, borderType=cv2.BORDER_CONSTANT)
            means[own] = around[rows[own] - top, columns[own] - left]
        return means >= limits * (SUPPORT - SUPPORT_FALL * self.octaves)[levels]

    def levels_may_overlap(self, threshold: float) -> bool:
        """Whether windows of two levels can have an IoU above the threshold: it is at most the ratio of their areas."""
        areas = self.scales.prod(axis=1)
        return bool((areas[1:] / areas[:-1]).max(initial=0) > threshold)


@lru_cache(maxsize=64)
def layout(height: int, width: int, min_face_size: float, factor: float) -> Layout | None:
    """Image size in px -> the Layout of its pyramid, of small area; None where no window of P-Net fits in the image."""
    sizes = images.level_sizes(height, width, min_face_size, PNET.size, factor)
    if not sizes:
        return None
    spaces = [(w + w % 2 + 2 * PNET_BORDER, h + h % 2 + 2 * PNET_BORDER) for w, h in sizes]
    tried = [_place(spaces, w) for w in _widths(spaces)]
    corners, packed_width, bottom = min(tried, key=lambda placed: placed[1] * placed[2])
    overlap = PNET.size - PNET_STRIDE
    most = max(PYRAMID_STRIP // packed_width, 4 * PNET.size)
    count = max(-(-(bottom - overlap) // (most - overlap)), 1)
    step = -(-(bottom - overlap) // count)
    strip = step + step % PNET_STRIDE + overlap
    sizes = np.array(sizes)
    return Layout((count * (strip - overlap) + overlap, packed_width), strip, np.array(corners) + PNET_BORDER, sizes,
                  (sizes / (width, height)).astype(np.float32), np.arange(len(sizes)) * -np.log2(factor))


def _widths(spaces: list[tuple[int, int]]) -> list[int]:
    """Widths to try, px: that of the largest level alone, and with each of the others beside it."""
    first = spaces[0][0]
    return sorted({first, *(first + w for w, _ in spaces[1:])})


def _place(spaces: list[tuple[int, int]], width: int) -> tuple[list[tuple[int, int]], int, int]:
    """Rectangles (w, h), largest first, packed into this width -> (corners x y, width, height used).

    Each goes into the free rectangle in which it leaves the least free; the rest of that one is cut in two. The last
    free rectangle has no lower end.
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


def pack(scales: list[Image], layout: Layout) -> Image:
    """Half scales of an image, Layout of their size -> the packed pyramid, uint8 (H, W, 3)."""
    packed = np.zeros((*layout.shape, 3), np.uint8)
    for (x, y), (w, h) in zip(layout.corners.tolist(), layout.sizes.tolist()):
        packed[y:y + h, x:x + w] = images.shrink(scales, w, h)
    return packed
