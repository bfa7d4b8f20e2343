"""Draws faces on a copy of an image, or hides them."""
import cv2
import numpy as np

from detection import boxes as bx
from detection import images as im

BOX, POINT, TEXT, DROPPED = (80, 220, 60), (40, 60, 250), (255, 255, 255), (60, 60, 230)   # BGR
BLUR_CELLS = 4        # colours across the shorter side of a hidden face: too few for eyes, nose and mouth
BLUR_MARGIN = 0.15    # of a face's sides, hidden around its box: chin, ears and hair line
PANEL = 800           # px, the longer side of one picture of an explaining sheet


def draw(image, faces):
    """uint8 (H, W, 3), Faces -> a copy with boxes, scores and points; lines grow with the picture and the face."""
    canvas = np.ascontiguousarray(image).copy()
    thick = _thickness(image)
    _rectangles(canvas, faces.boxes, BOX, thick)
    for box, score in zip(faces.boxes, faces.scores):
        if box[2] - box[0] >= 30:
            _label(canvas, f"{score:.2f}", (round(float(box[0])), round(float(box[1]))), 0.4 * thick)
    for box, points in zip(faces.boxes, faces.landmarks):
        radius = max(1, round(float(box[2] - box[0]) / 40))
        for x, y in points:
            cv2.circle(canvas, (round(float(x)), round(float(y))), radius, POINT, -1, cv2.LINE_AA)
    return canvas


def blur(image, faces):
    """uint8 (H, W, 3), Faces -> a copy in which no face can be recognised, whatever its size.

    Each box, grown by BLUR_MARGIN, is averaged to about BLUR_CELLS colours across and spread out again: what is
    finer than such a cell is no longer in the picture, so nothing brings it back.
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


def status(image, text):
    """uint8 (H, W, 3) -> a copy with a line of text in the upper left corner."""
    canvas = image.copy()
    _label(canvas, text, (0, 0), 0.5 * _thickness(image))
    return canvas


def explain(image, stages):
    """uint8 (H, W, 3), Faces after P-, R- and O-Net -> a sheet with one picture a net, side by side.

    Green is what a net kept, with the points after O-Net; red is what it was given. A red box without a green one on
    it was dropped; others were corrected, or merged into one.
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
        for text, colour in words:
            cv2.putText(canvas, text, (x, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv2.LINE_AA)
            x += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)[0][0] + 16
        panels.append(canvas)
    return np.hstack(panels)


def _thickness(image):
    """Of lines, px: grows with the picture."""
    return max(1, round(max(image.shape[:2]) / 500))


def _rectangles(canvas, boxes, colour, thick):
    for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)


def _label(canvas, text, corner, scale):
    """Text on a filled plate above the corner (x, y), or below it at the upper edge."""
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x, y = corner[0], corner[1] if corner[1] > height + base else corner[1] + height + base
    cv2.rectangle(canvas, (x, y - height - base), (x + width, y), BOX, -1)
    cv2.putText(canvas, text, (x, y - base // 2 - 1), cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT, 1, cv2.LINE_AA)
