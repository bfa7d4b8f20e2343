"""Draws faces on a copy of an image."""
import cv2
import numpy as np

BOX, POINT, TEXT = (80, 220, 60), (40, 60, 250), (255, 255, 255)   # BGR


def draw(image, faces):
    """uint8 (H, W, 3), Faces -> a copy with boxes, scores and points; lines grow with the picture and the face."""
    canvas = np.ascontiguousarray(image).copy()
    thick = max(1, round(max(image.shape[:2]) / 500))
    for box, score in zip(faces.boxes, faces.scores):
        x1, y1, x2, y2 = (int(round(float(v))) for v in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), BOX, thick, cv2.LINE_AA)
        if x2 - x1 >= 30:
            _label(canvas, f"{score:.2f}", (x1, y1), 0.4 * thick)
    for box, points in zip(faces.boxes, faces.landmarks):
        radius = max(1, round(float(box[2] - box[0]) / 40))
        for x, y in points:
            cv2.circle(canvas, (int(round(float(x))), int(round(float(y)))), radius, POINT, -1, cv2.LINE_AA)
    return canvas


def _label(canvas, text, corner, scale):
    """Text on a filled plate above the corner (x, y), or below it at the upper edge."""
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x, y = corner[0], corner[1] if corner[1] > height + base else corner[1] + height + base
    cv2.rectangle(canvas, (x, y - height - base), (x + width, y), BOX, -1)
    cv2.putText(canvas, text, (x, y - base // 2 - 1), cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT, 1, cv2.LINE_AA)
