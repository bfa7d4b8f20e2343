"""Draws faces on a copy of an image, or blurs them."""
from collections.abc import Sequence

import cv2
import numpy as np

from detection import boxes as bx
from detection import images as im
from detection.cascade import Faces
from detection.types import Floats, Image, Indices

Color = tuple[int, int, int]       # BGR

BOX, POINT, TEXT, DROPPED = (80, 220, 60), (40, 60, 250), (255, 255, 255), (60, 60, 230)   # BGR
BLUR_CELLS = 4        # colors across the shorter side of a blurred face: too few for eyes, nose and mouth
BLUR_MARGIN = 0.15    # share of the sides of a box that is blurred around it: chin, ears and hair line
PANEL = 800           # px, the longer side of one panel of an --explain sheet


def draw(image: Image, faces: Faces, ids: Indices | None = None) -> Image:
    """uint8 (H, W, 3), Faces (N) -> a copy with boxes, scores and landmarks, and their ids (N,); lines grow with the
    image and the face."""
    canvas = np.ascontiguousarray(image).copy()
    thick = _thickness(image)
    _rectangles(canvas, faces.boxes, BOX, thick)
    for i, (box, score) in enumerate(zip(faces.boxes, faces.scores)):
        if ids is not None or box[2] - box[0] >= 30:
            text = f"{score:.2f}" if ids is None else f"#{ids[i]} {score:.2f}"
            _label(canvas, text, (round(float(box[0])), round(float(box[1]))), 0.4 * thick)
    for box, points in zip(faces.boxes, faces.landmarks):
        radius = max(1, round(float(box[2] - box[0]) / 40))
        for x, y in points:
            cv2.circle(canvas, (round(float(x)), round(float(y))), radius, POINT, -1, cv2.LINE_AA)
    return canvas


def blur(image: Image, faces: Faces) -> Image:
    """uint8 (H, W, 3), Faces -> a copy in which none of these faces can be recognized, whatever their size.

    Each box, grown by BLUR_MARGIN, is averaged to about BLUR_CELLS colors across and enlarged again: finer detail is
    removed, so nothing can restore it.
    """
    canvas = np.ascontiguousarray(image).copy()
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    grown = faces.boxes + np.hstack([-sides, sides]) * BLUR_MARGIN
    height, width = image.shape[:2]
    for box, (x1, y1, x2, y2) in zip(faces.boxes, bx.clip(np.hstack([np.floor(grown[:, :2]), np.ceil(grown[:, 2:])]),
                                                          width, height).astype(int)):
        if x2 > x1 and y2 > y1:
            cell = max(min(box[2] - box[0], box[3] - box[1]) / BLUR_CELLS, 1)
            small = im.resize(canvas[y1:y2, x1:x2], max(round((x2 - x1) / cell), 1), max(round((y2 - y1) / cell), 1))
            canvas[y1:y2, x1:x2] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    return canvas


def status(image: Image, text: str) -> Image:
    """uint8 (H, W, 3) -> a copy with a line of text in the upper left corner."""
    canvas = image.copy()
    _label(canvas, text, (0, 0), 0.5 * _thickness(image))
    return canvas


def explain(image: Image, stages: Sequence[Faces]) -> Image:
    """uint8 (H, W, 3), Faces after P-, R- and O-Net -> a sheet with one panel per net, side by side.

    Green boxes are the net's output, with landmarks after O-Net; red boxes are its input. A red box without a green one
    on it was dropped; others were corrected, or merged into one.
    """
    panels = []
    for name, given, kept in zip(("P-Net", "R-Net", "O-Net"), [None, *stages], stages):
        scale = PANEL / max(image.shape[:2])
        canvas = im.resize(image, max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
        if given is not None:
            _rectangles(canvas, given.boxes * scale, DROPPED, 1)
        _rectangles(canvas, kept.boxes * scale, BOX, 1 if given is None else 2)
        for x, y in (kept.landmarks * scale).reshape(-1, 2):
            cv2.circle(canvas, (round(float(x)), round(float(y))), 2, POINT, -1, cv2.LINE_AA)
        canvas = cv2.copyMakeBorder(canvas, 32, 4, 4, max(4, 400 - canvas.shape[1]), cv2.BORDER_CONSTANT)
        words = [(name, TEXT), (f"{'proposed' if given is None else 'kept'} {len(kept)}", BOX)]
        if given is not None:
            words.append((f"dropped {len(given) - len(kept)} of {len(given)}", DROPPED))
        x = 8
        for text, color in words:
            cv2.putText(canvas, text, (x, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, 1, cv2.LINE_AA)
            x += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)[0][0] + 16
        panels.append(canvas)
    return np.hstack(panels)


def _thickness(image: Image) -> int:
    """Of lines, px: grows with the image."""
    return max(1, round(max(image.shape[:2]) / 500))


def _rectangles(canvas: Image, boxes: Floats, color: Color, thick: int) -> None:
    for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, thick, cv2.LINE_AA)


def _label(canvas: Image, text: str, corner: tuple[int, int], scale: float) -> None:
    """Text on a filled rectangle above the corner (x, y) px, or below it at the upper edge of the image."""
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x, y = corner[0], corner[1] if corner[1] > height + base else corner[1] + height + base
    cv2.rectangle(canvas, (x, y - height - base), (x + width, y), BOX, -1)
    cv2.putText(canvas, text, (x, y - base // 2 - 1), cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT, 1, cv2.LINE_AA)
