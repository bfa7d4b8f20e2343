"""Renders a small data set, so that every script of the toolkit runs on a fresh machine within minutes.

    python data/make_sample.py      # data/sample: 360 scenes with 2,184 faces, 600 landmark images

reads    nothing: people, rooms and streets are painted polygon by polygon
writes   the layouts of the official downloads below --out, the lists after the images:
         WIDER_train/images/<event>/*.jpg     wider_face_split/wider_face_train_bbx_gt.txt
         WIDER_val/images/<event>/*.jpg       wider_face_split/wider_face_val_bbx_gt.txt
         lfw_5590/*.jpg, net_7876/*.jpg       trainImageList.txt, testImageList.txt (every tenth image)
         sample.json                          what was rendered; a second call with the same numbers does nothing

Nets trained on this sample find rendered faces and little else: it shows every script at work and is no source of
weights to ship. Every random choice comes from (seed, kind of image, index), so the number of workers changes no byte.

Everything is painted in units of its own: half the height of a face, or the radius of a thing. (0, 0) is its
middle, x grows to the right, y downwards, z towards the viewer. Colors are BGR, 0 to 255.
"""
import argparse
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detection.errors import UserError, run_main
from pipeline import workers

VERSION = 1                                    # of the drawings; a change makes older samples stale
KINDS = {"train": 0, "val": 1, "landmark": 2}  # of images -> the second number of their seeds

# Scenes: (fewest, most) faces, (smallest, largest) face in px, where those two stand in heights of the image.
EVENTS = {"0--Sample_Crowd": ((10, 26), (9, 72), (0.12, 0.75)),
          "1--Sample_Portrait": ((1, 2), (90, 300), (0.40, 0.48)),
          "2--Sample_Street": ((2, 7), (16, 90), (0.38, 0.46)),
          "3--Sample_Family": ((4, 8), (36, 120), (0.28, 0.58)),
          "4--Sample_Still_Life": ((0, 0), (1, 1), (0, 0))}
EVENT_ORDER = (0, 1, 2, 3, 4, 2, 1, 0, 3)      # the events of images 0 to 8, and over again

SKINS = np.array([(190, 208, 240), (165, 190, 230), (140, 172, 218), (120, 155, 205), (98, 132, 188),
                  (78, 108, 162), (58, 82, 130), (44, 62, 100), (34, 46, 76)], float)
HAIRS = np.array([(22, 20, 20), (30, 36, 48), (34, 52, 82), (50, 82, 122), (92, 140, 180), (130, 180, 215),
                  (40, 70, 140), (150, 150, 152), (205, 205, 208)], float)
IRISES = np.array([(28, 42, 66), (40, 62, 96), (60, 100, 100), (120, 100, 70), (130, 120, 100)], float)
WHITE, BLACK = np.full(3, 245.0), np.full(3, 25.0)


# --- Shapes, colors, canvas ------------------------------------------------------------------------------

def ellipse(x, y, rx, ry, start=0, stop=360):
    """The arc from `start` to `stop`, degrees clockwise from the right -> (25, 2)."""
    angle = np.radians(np.linspace(start, stop, 25))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def rectangle(x1, y1, x2, y2):
    """Two opposite corners -> all four (4, 2)."""
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], float)


def symmetric(right_half):
    """The right half (N, 2) of an outline, from top to bottom -> all of it (2N, 2)."""
    right_half = np.asarray(right_half, float)
    return np.concatenate([right_half, right_half[::-1] * (-1, 1)])


def rounded(outline):
    """A closed polygon (N, 2) with its corners cut twice -> (4N, 2)."""
    for _ in range(2):
        after = np.roll(outline, -1, 0)
        outline = np.stack([0.75 * outline + 0.25 * after, 0.25 * outline + 0.75 * after], 1).reshape(-1, 2)
    return outline


def hull(points):
    """Points (N, 2) -> their convex outline (M, 2)."""
    return cv2.convexHull(np.float32(points))[:, 0].astype(float)


def mix(a, b, share):
    """Color a with a share of color b."""
    return np.asarray(a) * (1 - share) + np.asarray(b) * share


def any_of(rng, palette):
    """A random color between two neighbours of a palette (N, 3)."""
    place = rng.uniform(0, len(palette) - 1)
    return mix(palette[int(place)], palette[int(place) + 1], place % 1)


def any_color(rng):
    """A random color of any hue, more often dull than strong."""
    hsv = np.uint8([[(rng.integers(180), 200 * rng.random() ** 1.7, rng.uniform(30, 240))]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


class Canvas:
    """Premultiplied float32 (H, W, 4): blue, green, red, cover 0..1. (0, 0) lies at `origin`; a unit is `scale` px."""

    def __init__(self, height, width, scale=1.0, origin=(0, 0)):
        self.pixels = np.zeros((height, width, 4), np.float32)
        self.scale, self.origin = scale, np.asarray(origin, float)

    def fill(self, outline, color, opacity=1.0, soft=0.0, line=0.0):
        """Paint a polygon (N, 2), or its line `line` units wide, with an edge blurred by `soft` units.

        Soft paint only tints what is there, so that shadows and highlights stay on the body they fall on.
        """
        if len(outline) < 2:
            return
        path = np.asarray(outline) * self.scale + self.origin                  # px
        margin = (3 * soft + line) * self.scale + 2
        size = self.pixels.shape[1::-1]
        x1, y1 = np.clip(path.min(0) - margin, 0, size).astype(int)
        x2, y2 = np.clip(path.max(0) + margin, 0, size).astype(int)
        if x1 == x2 or y1 == y2:
            return
        path = np.rint((path - (x1 + 0.5, y1 + 0.5)) * 16).astype(np.int32)    # OpenCV counts from pixel centers
        mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
        if line:
            cv2.polylines(mask, [path], False, 255, max(1, round(line * self.scale)), cv2.LINE_AA, shift=4)
            opacity *= min(1, line * self.scale)                               # thinner than a pixel: fainter
        else:
            cv2.fillPoly(mask, [path], 255, cv2.LINE_AA, shift=4)
        weight = mask * np.float32(opacity / 255)
        region = self.pixels[y1:y2, x1:x2]
        if soft:
            weight = cv2.GaussianBlur(weight, (0, 0), soft * self.scale) * region[..., 3]
        region += (np.float32((*np.clip(color, 0, 255), 1)) - region) * weight[..., None]


# --- The head: a solid, so that boxes and landmarks are exact in every pose -------------------------------

# Height y, half width, half depth from crown to chin, after the proportions of an adult face.
PROFILE = np.array([(-1.30, 0.02, 0.02), (-1.22, 0.40, 0.38), (-1.00, 0.63, 0.64), (-0.70, 0.75, 0.78),
                    (-0.25, 0.77, 0.84), (0.20, 0.73, 0.86), (0.55, 0.62, 0.86), (0.80, 0.45, 0.83),
                    (0.95, 0.26, 0.79), (1.00, 0.08, 0.74)])
CROWN, HAIRLINE, CHIN, NECK = -1.3, -0.95, 1.0, np.array([0, 0.75, -0.25])
EYE, NOSE, NOSE_LIFT, MOUTH = (0.337, -0.23), (0, 0.20), 0.26, (0.25, 0.53)


class Head:
    """A head turned on its neck; `spread` scales by how much."""

    def __init__(self, rng, spread):
        self.yaw = spread * np.clip(rng.normal(0, 26), -58, 58)                # degrees, to the right
        self.pitch = spread * np.clip(rng.normal(2, 9), -22, 24)               # degrees, downwards
        self.roll = spread * np.clip(rng.normal(0, 10), -35, 35)               # degrees, clockwise
        turns = np.radians([(0, self.yaw, 0), (-self.pitch, 0, 0), (0, 0, self.roll)])
        turn, nod, tilt = (cv2.Rodrigues(axis)[0] for axis in turns)
        self.rotation = tilt @ nod @ turn
        self.width, self.jaw = rng.uniform(0.92, 1.06), rng.uniform(0.9, 1.15)

    def view(self, points):
        """Points fixed to the head (..., 3) -> where the viewer sees them (..., 3)."""
        return (np.asarray(points) - NECK) @ self.rotation.T + NECK

    def section(self, y):
        """Heights -> half width, half depth of the head there."""
        width = np.interp(y, PROFILE[:, 0], PROFILE[:, 1]) * np.interp(y, (0.1, 0.7), (1, self.jaw))
        return width * self.width, np.interp(y, PROFILE[:, 0], PROFILE[:, 2])

    def around(self, angle, y, grow=1.0):
        """Points of the surface, `angle` degrees to the right of the nose, at height y -> viewed (..., 3)."""
        angle, y = np.broadcast_arrays(np.radians(angle), y)
        width, depth = self.section(y)
        return self.view(grow * np.stack([width * np.sin(angle), y, depth * np.cos(angle)], -1))

    def on(self, points, lift=0.0):
        """A flat drawing (N, 2), seen from the front, laid `lift` above the skin -> viewed (N, 2)."""
        x, y = np.asarray(points, float).T
        width, depth = self.section(y)
        z = depth * np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1)) + lift
        return self.view(np.stack([x, y, z], -1))[:, :2]

    def shell(self, top, bottom, angle=180, grow=1.0):
        """Outline of the head between heights top, (25,) or one, and bottom, up to `angle` from the nose: (N, 2)."""
        heights = np.linspace(np.broadcast_to(top, 25), bottom, 16)            # (16, 25)
        return hull(self.around(np.linspace(-angle, angle, 25), heights, grow)[..., :2].reshape(-1, 2))

    def face_outline(self):
        """Hairline to chin and ear to ear -> (N, 2). Its bounding box is the face box of WIDER FACE."""
        return self.shell(HAIRLINE, CHIN, 90)

    def landmark_box(self):
        """The square of the landmark lists, from the brows to below the mouth -> two corners (2, 2)."""
        return self.view((0, 0.118, 0.45))[:2] + [(-0.71, -0.71), (0.71, 0.71)]

    def landmarks(self, mouth):
        """Left eye, right eye, nose tip, left and right corner of the mouth, as seen -> (5, 2)."""
        return self.on([EYE * np.array((-1, 1)), EYE, NOSE, mouth * (-1, 1), mouth], (0, 0, NOSE_LIFT, 0, 0))


# --- People -----------------------------------------------------------------------------------------------

# Haircuts: swelling of the skull (0: bald), the height it falls to (0: short), how far the hairline comes down in
# front and at the temples, does it cover the ears.
CUTS = {"bald": (0, 0, 0, 0, False), "short": (1.05, 0, 0.1, 0.5, False), "fringe": (1.08, 0, 0.4, 0.5, False),
        "afro": (1.28, 0, 0.1, 1, True), "bob": (1.12, 0.8, 0.3, 1, True), "long": (1.1, 2, 0.1, 1, True),
        "veil": (1.17, 2, 0.2, 1, True)}


class Person:
    """Somebody with the middle of the face near x, y px and a face 2 * `unit` px tall, out of focus by `blur` units."""

    def __init__(self, rng, light, x, y, unit, spread, blur):
        self.rng, self.light, self.x, self.y, self.unit, self.blur = rng, light, x, y, unit, blur
        self.head = Head(rng, spread)
        self.cut = str(rng.choice(list(CUTS)))
        self.volume, self.length, self.fringe, self.temples, self.ears_covered = CUTS[self.cut]
        self.skin, self.cloth, self.cloth2 = any_of(rng, SKINS), any_color(rng), any_color(rng)
        self.hair = any_of(rng, HAIRS[:3] if self.skin.mean() < 120 else HAIRS)
        self.brow = self.hair * 0.6
        if self.cut == "veil":
            self.hair = any_color(rng)
        self.smile, self.gape = rng.uniform(-0.3, 1), max(0, rng.uniform(-0.45, 0.3))
        self.mouth = MOUTH + self.smile * np.array((0.06, -0.06))              # its right corner
        self.iris, self.lids, self.gaze = any_of(rng, IRISES), rng.uniform(0.55, 1.1), rng.uniform(-0.04, 0.04)
        self.beard = rng.choice([0, 0.35, 0.9]) if self.cut in ("bald", "short", "afro") else 0    # opacity
        self.hat = "" if self.cut == "veil" else str(rng.choice(["", "", "", "", "cap", "brim"]))
        self.glasses = rng.choice([0, 0.1, 0.92], p=(0.75, 0.19, 0.06))        # opacity of the lenses, 0 = none

    def place(self, points):
        """Units (N, 2) -> px of the image (N, 2)."""
        return points * self.unit + (self.x, self.y)

    def paint(self, canvas):
        """All of somebody who faces the viewer, back to front."""
        paint_body(canvas, self)
        paint_head(canvas, self)
        paint_beard(canvas, self)
        paint_mouth(canvas, self)
        for side in (-1, 1):
            paint_eye(canvas, self, side)
        paint_nose(canvas, self)
        paint_hat(canvas, self)
        paint_glasses(canvas, self)
        paint_shade(canvas, self)

    def paint_from_behind(self, canvas):
        """A head without a face."""
        paint_body(canvas, self)
        canvas.fill(self.head.shell(CROWN, 0.7), self.skin * 0.85)
        canvas.fill(self.head.shell(CROWN, 0.45, grow=1.06), self.hair)
        paint_shade(canvas, self)


def paint_body(canvas, person):
    """Hair on the shoulders, legs, clothes and neck; the feet are at y = 13."""
    rng, head, skin, cloth, wide = person.rng, person.head, person.skin, person.cloth, person.rng.uniform(1.65, 2.05)
    if person.length:
        ends = [(0.85, person.length), (-0.85, person.length)]
        canvas.fill(hull([*head.shell(-1.2, 0.2, grow=person.volume), *ends]), person.hair * 0.75)
    for side in (-1, 1):
        canvas.fill(rectangle(side * 0.05, 4.5, side * 0.8 * wide, 13), person.cloth2 * 0.6)
    canvas.fill(rounded(symmetric([(0.4, 1.3), (0.8 * wide, 1.5), (wide, 2.1), (1.1 * wide, 5.2)])), cloth)
    if rng.random() < 0.25:                                                    # stripes
        for y in np.arange(2.0, 5, 0.5):
            canvas.fill([(-0.93 * wide, y), (0.93 * wide, y)], person.cloth2, line=0.2)
    throat = symmetric([(0.42, 1.2), (0.02, rng.uniform(1.5, 2.3))])
    if rng.random() < 0.5:                                                     # a collar
        canvas.fill(throat * (1.4, 1.2), WHITE)
    canvas.fill(throat, skin * 0.82)
    nape = head.view([(-0.4, 0.35, -0.1), (0.4, 0.35, -0.1)])[:, :2]
    canvas.fill([*nape, (0.42, 1.25), (-0.42, 1.25)], skin * 0.82)
    canvas.fill(head.on(ellipse(0, 1.1, 0.5, 0.2)), BLACK, 0.4, soft=0.12)     # the shadow of the chin
    for side in (-1, 1):                                                       # arms
        canvas.fill([(side * 0.78 * wide, 2.5), (side * 0.86 * wide, 5)], cloth * 0.5, line=0.05)
    dark = -np.sign(person.light[0]) * wide                                    # the side away from the light
    canvas.fill(rectangle(0.55 * dark, 1.3, 1.3 * dark, 13), BLACK, 0.45, soft=0.35)


def paint_head(canvas, person):
    """Skull, hair and ears, and the skin of the face up to the hairline, which is lower at the temples."""
    head, rng, hairline = person.head, person.rng, HAIRLINE + person.fringe
    canvas.fill(head.shell(CROWN, 0.45), person.skin * 0.9)
    if person.volume:
        outline = rounded(head.shell(CROWN, -0.05, grow=person.volume))
        canvas.fill(outline + rng.normal(0, 0.03 if person.cut == "afro" else 0, outline.shape), person.hair)
    if not person.ears_covered:
        for side in (-1, 1):
            x, y = ellipse(0, 0, 0.1, 0.23).T
            ear = np.stack([side * (0.8 * head.width + x), y, -0.06 - x], 1)
            canvas.fill(head.view(ear)[:, :2], person.skin * 0.85)
    canvas.fill(head.shell(hairline + person.temples * np.linspace(-1, 1, 25) ** 4, CHIN, 90), person.skin)
    locks = 0 if person.cut in ("bald", "veil") else 24
    for angle, tone in rng.uniform((-80, 0.6), (80, 1.5), (locks, 2)):
        lock = head.around(angle, np.linspace(CROWN + 0.1, hairline, 8), person.volume)
        canvas.fill(lock[lock[:, 2] > 0, :2], person.hair * tone, 0.4, line=0.04)


def paint_eye(canvas, person, side):
    """Socket, white, iris, lids and brow of the left (-1) or right (1) eye."""
    head, skin, x, y = person.head, person.skin, side * EYE[0], EYE[1]
    across, bulge = np.linspace(-0.155, 0.155, 13) + x, person.lids * np.sin(np.linspace(0, np.pi, 13))
    upper, lower = np.stack([across, y - 0.1 * bulge], 1), np.stack([across, y + 0.055 * bulge], 1)
    canvas.fill(head.on(ellipse(x, y - 0.02, 0.22, 0.15)), skin * 0.55, 0.5, soft=0.06)
    canvas.fill(head.on([*upper, *lower[::-1]]), mix(WHITE, skin, 0.2))
    for radius, color in ((0.075, person.iris), (0.035, BLACK)):
        disc = ellipse(x + person.gaze, y - 0.02, radius, radius)
        disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], *upper.T), np.interp(disc[:, 0], *lower.T))
        canvas.fill(head.on(disc), color)
    canvas.fill(head.on(ellipse(x + person.gaze - 0.02, y - 0.04, 0.015, 0.015)), WHITE)
    canvas.fill(head.on(upper), skin * 0.25, line=0.035)
    canvas.fill(head.on(upper - (0, 0.05)), skin * 0.5, 0.5, line=0.025)
    brow = np.array([(0.12, -0.40), (0.25, -0.45), (0.40, -0.46), (0.54, -0.38)]) * (side, 1)
    canvas.fill(head.on(brow), person.brow, 0.85, line=0.08)


def paint_nose(canvas, person):
    """Bridge, wings and nostrils, and a shadow on the side away from the light."""
    head, skin, dark = person.head, person.skin, -np.sign(person.light[0])
    drawing = [(0, -0.25), (0.15, 0.24), (0, 0.30), (-0.15, 0.24), (dark * 0.19, 0.27), (0, -0.05), NOSE]
    bridge, right, base, left, shadow, ridge, tip = head.on(drawing, (0.04, 0.06, 0.12, 0.06, 0, 0.12, NOSE_LIFT))
    canvas.fill([bridge, right, base, left], skin, 0.8)
    canvas.fill([bridge, tip, base, shadow], skin * 0.55, 0.55, soft=0.035)
    canvas.fill([ridge, tip], mix(skin, WHITE, 0.5), 0.6, soft=0.02, line=0.07)
    canvas.fill(head.on(ellipse(0, 0.33, 0.15, 0.05)), skin * 0.5, 0.5, soft=0.03)
    for side in (-1, 1):
        canvas.fill(head.on(ellipse(side * 0.07, 0.265, 0.038, 0.024), 0.1), skin * 0.25)
        wing = ellipse(side * 0.11, 0.22, side * 0.055, 0.07, -60, 80)
        canvas.fill(head.on(wing, 0.03), skin * 0.5, 0.6, line=0.02)


def paint_mouth(canvas, person):
    """Lips, teeth in an open mouth, and the folds beside it."""
    head, skin, gape, (half, corner) = person.head, person.skin, person.gape, person.mouth

    def between(upper, lower, share=1.0):
        """The area between two lines from corner to corner that sag by so much in the middle -> viewed (34, 2)."""
        u = np.linspace(-1, 1, 17)
        lines = [np.stack([share * half * u, corner + sag * (1 - u ** 2)], 1) for sag in (upper, lower)]
        return head.on([*lines[0], *lines[1][::-1]])

    lips, line = mix(skin * 0.72, (70, 60, 170), 0.3), 0.1 * person.smile      # the line where the lips meet
    canvas.fill(between(line + gape + 0.2, line + gape + 0.3, 0.8), skin * 0.55, 0.5, soft=0.04)
    canvas.fill(between(line - 0.09, line), lips * 0.9)
    canvas.fill(between(line, line + gape + 0.12), lips)
    canvas.fill(between(line, line + gape + 0.015), (30, 24, 60))
    canvas.fill(between(line, line + gape / 2, 0.85), WHITE, min(1, 10 * gape))
    for side in (-1, 1):
        fold = [(side * 0.2, 0.26), (side * 0.33, 0.40), (side * (half + 0.09), corner + 0.03)]
        canvas.fill(head.on(fold), skin * 0.55, 0.4, soft=0.02, line=0.04)


def paint_beard(canvas, person):
    """Stubble or a full beard, open around the nose; the mouth comes on top."""
    canvas.fill(person.head.shell(0.15, CHIN, 82, 1.01), person.brow, person.beard)
    canvas.fill(rounded(person.head.on(ellipse(0, 0.0, 0.58, 0.38))), person.skin)


def paint_hat(canvas, person):
    """A knitted cap, or a hat with a brim all around."""
    if not person.hat:
        return
    head, cloth = person.head, person.cloth2
    canvas.fill(rounded(head.shell(CROWN - 0.05, -0.7, grow=1.14)), cloth)
    canvas.fill(head.shell(-0.9, -0.68, grow=1.15), cloth * 0.6)
    if person.hat == "brim":
        x, z = ellipse(0, 0, 1.25, 1.0).T
        canvas.fill(head.view(np.stack([x, np.full(25, -0.78), z], 1))[:, :2], cloth * 0.75)
    canvas.fill(head.on(ellipse(0, -0.5, 0.6, 0.12)), BLACK, 0.4, soft=0.07)


def paint_glasses(canvas, person):
    """Lenses, clear or dark, in a frame."""
    if not person.glasses:
        return
    head, (x, y), frame = person.head, EYE, BLACK * 1.5
    for side in (-1, 1):
        lens = head.on(rounded(rectangle(side * (x - 0.24), y - 0.18, side * (x + 0.24), y + 0.17)), 0.08)
        canvas.fill(lens, BLACK if person.glasses > 0.5 else WHITE, person.glasses)
        canvas.fill([*lens, lens[0]], frame, line=0.04)
        if side * head.yaw < 25:
            canvas.fill(head.view([(side * 0.56, y, 0.7), (side * 0.8, y, -0.05)])[:, :2], frame, line=0.04)
    canvas.fill(head.on(ellipse(0, y, 0.11, 0.05, 180, 360), 0.1), frame, line=0.04)


def paint_shade(canvas, person):
    """A bright and a dark side, so that the head looks round."""
    x, y = person.head.view((0, -0.1, 0.5))[:2]
    dx, dy = person.light[:2]
    canvas.fill(ellipse(x - 1.2 * dx, y - 1.2 * dy, 0.55, 1.1), BLACK, 0.55, soft=0.25)
    canvas.fill(ellipse(x + 0.8 * dx, y + 0.8 * dy, 0.35, 0.5), WHITE, 0.25, soft=0.2)


# --- Things of radius 1; some are round or skin-colored, to be mistaken for faces -------------------------

def paint_ball(canvas, rng, light):
    """A ball, a fruit, or a stone in a skin color."""
    outline = ellipse(0, 0, rng.uniform(0.75, 1), 1)
    color = any_of(rng, SKINS) if rng.random() < 0.4 else any_color(rng)
    for t in np.linspace(0, 1, 9):                                             # smaller, brighter, nearer the light
        canvas.fill(outline * (1 - 0.8 * t) + 0.4 * t * light[:2], color * (0.6 + 0.5 * t))


def paint_dial(canvas, rng, light):
    """A clock, a wheel, or a plate with two morsels: a disc with spokes or spots."""
    disc, ink = mix(any_color(rng), WHITE, rng.random()), any_color(rng) * 0.5
    canvas.fill(ellipse(0, 0, 1, 0.95), disc * 0.5)
    canvas.fill(ellipse(0, 0, 0.8, 0.76), disc)
    number, start = rng.choice([2, 3, 5, 12]), rng.uniform(0, 7)
    inner, outer = rng.uniform(0, 0.6), rng.uniform(0.4, 0.75)
    for angle in start + 2 * np.pi * np.arange(number) / number:
        ray = np.array((np.cos(angle), np.sin(angle)))
        canvas.fill([inner * ray, outer * ray], ink, line=0.5 / number ** 0.7)


def paint_hand(canvas, rng, light):
    """A raised hand and its sleeve."""
    skin, tilt = any_of(rng, SKINS), rng.uniform(-0.6, 0.6)
    turn = np.array([(np.cos(tilt), np.sin(tilt)), (-np.sin(tilt), np.cos(tilt))])
    canvas.fill(rectangle(-0.4, 0.8, 0.4, 1.6) @ turn, any_color(rng))
    canvas.fill(rounded(rectangle(-0.42, -0.2, 0.42, 1)) @ turn, skin * 0.9)
    for x, length in ((-0.3, -0.85), (-0.1, -1), (0.1, -0.95), (0.3, -0.75), (0.7, 0.1)):
        for width, tone in ((0.24, 0.6), (0.19, 1)):
            canvas.fill([(0.8 * x, 0.3), (1.2 * x, length)] @ turn, skin * tone, line=width)


def paint_crate(canvas, rng, light):
    """A box of planks, seen from its corner."""
    color, deep = any_color(rng), rng.uniform(0.2, 0.4)
    canvas.fill(hull([*rectangle(-1, -0.6, 0.6, 1), *rectangle(-1 + deep, -1, 0.6 + deep, 0.6)]), color * 0.5)
    canvas.fill(rectangle(-1, -0.6, 0.6, 1), color)
    for y in np.linspace(-0.6, 1, rng.integers(2, 6))[1:-1]:
        canvas.fill([(-1, y), (0.6, y)], color * 0.5, line=0.05)


def paint_sign(canvas, rng, light):
    """A board with strokes that look like writing."""
    ink, rows = any_color(rng), rng.integers(1, 5)
    canvas.fill(rectangle(-1, -0.7, 1, 0.7), any_color(rng))
    for y in np.linspace(-0.6, 0.6, rows + 1)[:-1]:
        for x in np.arange(-0.85, 0.8, 0.6 / rows):
            canvas.fill(rng.integers(0, 3, (4, 2)) * (0.2, 0.35) / rows + (x, y), ink, line=0.12 / rows)


THINGS = (paint_ball, paint_dial, paint_hand, paint_crate, paint_sign)


# --- Backdrops, in px -------------------------------------------------------------------------------------

def paint_ramp(canvas, rng):
    """A studio wall or a sky: one color that runs into another."""
    height, width = canvas.pixels.shape[:2]
    ends = np.float32([(*any_color(rng), 1), (*any_color(rng), 1)])[:, None]   # (2, 1, 4)
    canvas.pixels[:] = cv2.resize(ends, (width, height), interpolation=cv2.INTER_LINEAR)


def paint_grid(canvas, rng):
    """Bricks, tiles, windows, books or curtains: boxes of one size and of more or less one color."""
    paint_ramp(canvas, rng)
    height, width = canvas.pixels.shape[:2]
    wide, tall = rng.uniform(10, 90, 2)
    gap, shift, variety, color = rng.uniform(0.02, 0.4) * wide, rng.choice([0, 0.5]), rng.random(), any_color(rng)
    for row, y in enumerate(np.arange(0, height, tall + gap)):
        for x in np.arange(-row % 2 * shift * wide, width, wide + gap):
            tint = mix(color, any_color(rng), variety) * rng.uniform(0.8, 1.2)
            canvas.fill(rectangle(x, y, x + wide, y + tall), tint)


def paint_park(canvas, rng):
    """Sky, lawn and trees."""
    paint_ramp(canvas, rng)
    height, width = canvas.pixels.shape[:2]
    horizon = rng.uniform(0.3, 0.7) * height
    canvas.fill(rectangle(0, horizon, width, height), (60, 130, 100) * rng.uniform(0.6, 1.2, 3))
    for x in rng.uniform(0, width, rng.integers(3, 7)):
        size, leaf = rng.uniform(40, 110), (45, 110, 70) * rng.uniform(0.4, 1.3, 3)
        canvas.fill([(x, horizon + size / 3), (x, horizon - size)], (35, 50, 70), line=size / 6)
        for dx, dy, radius in rng.normal((0, -1.2, 0.16), (0.5, 0.5, 0.04), (45, 3)) * size:
            canvas.fill(ellipse(x + dx, horizon + dy, radius, radius), leaf * rng.uniform(0.6, 1.4))


BACKDROPS = (paint_ramp, paint_grid, paint_grid, paint_park)


def texture(rng, height, width):
    """Noise at five scales, each finer and weaker than the one before -> float32 (H, W), about ±1."""
    coarse = int(rng.integers(3, 12))
    layers = [rng.uniform(-1, 1, (coarse * 2 ** k,) * 2).astype(np.float32) * 0.7 ** k for k in range(5)]
    return sum(cv2.resize(layer, (width, height)) for layer in layers) / 2


# --- Images -----------------------------------------------------------------------------------------------

class Scene:
    """A scene in the making: its pixels, its light, the people who face us, and who is seen at each pixel."""

    def __init__(self, rng, height, width):
        self.rng, self.canvas, self.people = rng, Canvas(height, width), []
        self.owner = np.zeros((height, width), np.int32)                       # number of the face seen, 0 = none
        light = np.array((rng.choice([-1, 1]) * rng.uniform(0.3, 1), -rng.uniform(0.1, 0.8), rng.uniform(0.5, 1)))
        self.light = light / np.linalg.norm(light)                             # points towards the lamp
        BACKDROPS[rng.integers(len(BACKDROPS))](self.canvas, rng)
        self.canvas.pixels[..., :3] *= 1 + rng.uniform(0.05, 0.35) * texture(rng, height, width)[..., None]
        if rng.random() < 0.6:
            self.canvas.pixels = cv2.GaussianBlur(self.canvas.pixels, (0, 0), rng.uniform(0.6, 4))

    def add(self, paint, x, y, unit, extent, blur=0.0):
        """Paint something around (x, y) px, within `extent` x1 y1 x2 y2 units of `unit` px.

        Small things are painted on a finer grid and then shrunk, which makes them smooth.
        """
        height, width = self.owner.shape
        corners = np.multiply(extent, unit) + (x, y, x, y)
        x1, y1, x2, y2 = np.clip(corners, 0, (width, height, width, height)).astype(int)
        if x1 == x2 or y1 == y2:
            return
        finer = int(np.clip(round(50 / unit), 1, 5))
        layer = Canvas((y2 - y1) * finer, (x2 - x1) * finer, unit * finer, ((x - x1) * finer, (y - y1) * finer))
        paint(layer)
        pixels = cv2.resize(layer.pixels, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
        if blur:
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur * unit)
        below = self.canvas.pixels[y1:y2, x1:x2]
        below *= 1 - pixels[..., 3:]
        below += pixels
        self.owner[y1:y2, x1:x2][pixels[..., 3] > 0.5] = 0

    def add_thing(self, x, y, size):
        """A thing of radius `size` px."""
        paint = THINGS[self.rng.integers(len(THINGS))]
        self.add(partial(paint, rng=self.rng, light=self.light), x, y, size, (-1.7, -1.7, 1.7, 1.7))

    def add_person(self, x, y, unit, spread=1.0, blur=0.0, from_behind=False):
        """Somebody, as described at Person."""
        person = Person(self.rng, self.light, x, y, unit, spread, blur)
        paint = person.paint_from_behind if from_behind else person.paint
        self.add(paint, x, y, unit, (-2.4, -2.2, 2.4, 13), blur)
        if not from_behind:
            self.people.append(person)
            outline = np.rint(person.place(person.head.face_outline()) - 0.5).astype(np.int32)
            cv2.fillPoly(self.owner, [outline], len(self.people))

    def develop(self):
        """What a camera makes of it: exposure, color cast, contrast, focus, noise -> uint8 BGR (H, W, 3)."""
        rng = self.rng
        image = self.canvas.pixels[..., :3] * np.float32(rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3))
        image = (image - 110) * np.float32(rng.uniform(0.75, 1.1)) + np.float32(rng.uniform(90, 125))
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 0.8))
        image += rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 5))
        return np.clip(image, 0, 255).astype(np.uint8)

    def annotations(self):
        """`x y w h blur expression illumination invalid occlusion pose` of every face that shows at all."""
        size = self.owner.shape[::-1]
        shown = np.bincount(self.owner.ravel(), minlength=len(self.people) + 1)[1:]    # px of each face
        lines = []
        for person, pixels in zip(self.people, shown):
            outline = person.place(person.head.face_outline())
            hidden = 1 - pixels / cv2.contourArea(np.float32(outline))         # by others or by the frame
            x1, y1 = np.clip(np.rint(outline.min(0)), 0, size).astype(int)
            x2, y2 = np.clip(np.rint(outline.max(0)), 0, size).astype(int)
            if hidden > 0.95 or x2 - x1 < 2 or y2 - y1 < 2:
                continue
            blur, occlusion = np.digitize(person.blur, (0.04, 0.09)), np.digitize(hidden, (0.08, 0.35))
            invalid = int(hidden > 0.6 or person.blur > 0.14)
            expression, pose = int(person.gape > 0.15), int(abs(person.head.yaw) > 45 or abs(person.head.roll) > 25)
            lines.append(f"{x1} {y1} {x2 - x1} {y2 - y1} {blur} {expression} 0 {invalid} {occlusion} {pose}")
        return lines


def draw_scene(rng, event):
    """One scene of an event -> uint8 BGR (H, W, 3), its annotation lines."""
    (fewest, most), sizes, place = EVENTS[event]
    height, width = int(rng.integers(360, 481)), int(rng.integers(480, 641))
    scene = Scene(rng, height, width)
    for x, y, size in rng.uniform((0, 0.2, 6), (1, 1, 40), (rng.integers(5, 16), 3)):
        scene.add_thing(x * width, y * height, size)
    units = np.sort(np.exp(rng.uniform(*np.log(sizes), rng.integers(fewest, most + 1)))) / 2
    taken = []
    for rank, unit in enumerate(units):                                        # back to front
        y = height * np.interp(rank + rng.random(), (0, len(units)), place) + rng.normal(0, 0.4) * unit
        tries = width * rng.uniform(0.03, 0.97, 5)
        x = max(tries, key=lambda x: min((abs(x - other) for other in taken), default=0))   # where most room is
        taken.append(x)
        blur = rng.uniform(0.02, 0.17) if rng.random() < 0.18 else 0
        scene.add_person(x, y, unit, blur=blur, from_behind=len(units) > 2 and rng.random() < 0.1)
        if rng.random() < 0.12:                                                # something before a part of the face
            dx, dy, size = rng.uniform((-1, -0.9, 0.3), (1, 0.9, 0.7)) * unit
            scene.add_thing(x + dx, y + dy, size)
    return scene.develop(), scene.annotations()


def draw_portrait(rng, side):
    """A square landmark image -> uint8 BGR (side, side, 3), `LEFT RIGHT TOP BOTTOM` and five points."""
    scene = Scene(rng, side, side)
    for x, y, size in rng.uniform((0, 0, 6), (side, side, 30), (rng.integers(0, 5), 3)):
        scene.add_thing(x, y, size)
    unit, (x, y) = rng.uniform(0.2, 0.29) * side, rng.uniform(0.44, 0.56, 2) * side
    scene.add_person(x, y, unit, spread=0.85, blur=rng.choice([0, 0, 0.015, 0.03]))
    person = scene.people[0]
    (left, top), (right, bottom) = np.rint(person.place(person.head.landmark_box())).astype(int)
    points = " ".join(f"{number:.2f}" for number in person.place(person.head.landmarks(person.mouth)).ravel())
    return scene.develop(), f"{left} {right} {top} {bottom} {points}"


# --- Files ------------------------------------------------------------------------------------------------

def write(path, data):
    """Bytes under a temporary name, then renamed: a file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def draw(job, out, seed):
    """Draw and write image (kind, index) -> its path below `out`, its annotation."""
    kind, index = job
    rng = np.random.default_rng((seed, KINDS[kind], index))
    if kind == "landmark":
        folder, side = ("net_7876", int(rng.integers(200, 251))) if index // 10 % 2 else ("lfw_5590", 250)
        path = f"{folder}/Sample_{index:05d}.jpg"
        image, annotation = draw_portrait(rng, side)
    else:
        event = list(EVENTS)[EVENT_ORDER[index % len(EVENT_ORDER)]]
        path = f"WIDER_{kind}/images/{event}/{event.replace('--', '_')}_{index:05d}.jpg"
        image, annotation = draw_scene(rng, event)
    write(out / path, cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return path, annotation


def draw_all(jobs, out, seed, processes):
    """Images (kind, index), drawn by so many processes -> {kind: [(path below `out`, annotation)]}."""
    drawn = {kind: [] for kind in KINDS}
    results = workers.run(partial(draw, out=out, seed=seed), jobs, processes, "drawing", [1] * len(jobs), "image")
    for result, (kind, _) in zip(results, jobs):
        drawn[kind].append(result)
    return drawn


def write_wider_list(path, drawn):
    """[(image, annotation lines)] in the official form: no face is a count of 0 and a line of zeros."""
    lines = []
    for image, faces in drawn:
        lines += [image.split("/images/")[1], str(len(faces)), *(faces or ["0 0 0 0 0 0 0 0 0 0"])]
    write(path, ("\n".join(lines) + "\n").encode())


def write_landmark_list(path, drawn):
    """[(image, annotation)] with the backslashes of the original."""
    lines = [image.replace("/", "\\") + " " + annotation for image, annotation in drawn]
    write(path, "".join(line + "\n" for line in lines).encode())


def earlier(note):
    """What sample.json says of the sample that is there."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{note}: is damaged; add --force, which draws the sample again")
    return found


def main(args):
    start, out, note = time.perf_counter(), args.out, args.out / "sample.json"
    numbers = {"version": VERSION, "seed": args.seed, "train": args.images, "val": args.val_images,
               "landmark": args.landmark_images}
    found = earlier(note) if note.exists() and not args.force else {}
    if found.get("complete") and numbers.items() <= found.items():
        print(f"{out} holds this sample already; --force draws it again.")
        return
    write(note, json.dumps({**numbers, "complete": False}).encode())
    drawn = draw_all([(kind, index) for kind in KINDS for index in range(numbers[kind])], out, args.seed, args.workers)
    for stale in set(out.rglob("*Sample_*.jpg*")) - {out / image for kind in KINDS for image, _ in drawn[kind]}:
        stale.unlink()                                                         # of a larger or interrupted sample

    portraits = drawn["landmark"]
    for kind in ("train", "val"):
        write_wider_list(out / "wider_face_split" / f"wider_face_{kind}_bbx_gt.txt", drawn[kind])
    write_landmark_list(out / "trainImageList.txt", [p for i, p in enumerate(portraits) if i % 10 != 9])
    write_landmark_list(out / "testImageList.txt", portraits[9::10])
    faces = {f"{kind}_faces": sum(len(lines) for _, lines in drawn[kind]) for kind in ("train", "val")}
    write(note, json.dumps({**numbers, **faces, "complete": True}, indent=1).encode())
    print(f"{out}: {args.images} training images with {faces['train_faces']} faces, "
          f"{args.val_images} validation images with {faces['val_faces']}, {args.landmark_images} landmark images, "
          f"{time.perf_counter() - start:.0f} s")


# --- Command line -----------------------------------------------------------------------------------------

class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one sentence."""

    def error(self, message):
        self.exit(2, f"error: {message}\n")


def whole(text, least):
    """Text -> a whole number of at least so much."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more.")
    return int(text)


def folder(text):
    """Text -> a path where nothing but an earlier sample can be written over."""
    path = Path(text)
    if path.exists() and not (path / "sample.json").exists() and (path.is_file() or any(path.iterdir())):
        raise argparse.ArgumentTypeError(f"{text} holds something else; name a new or an empty folder.")
    return path


if __name__ == "__main__":
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    positive = partial(whole, least=1)
    parser.add_argument("--out", type=folder, default=str(Path(__file__).resolve().parent / "sample"), metavar="DIR",
                        help="folder to write (default: data/sample)")
    parser.add_argument("--images", type=positive, default=300, metavar="N", help="training scenes (default: 300)")
    parser.add_argument("--val-images", type=positive, default=60, metavar="N", help="validation scenes (default: 60)")
    parser.add_argument("--landmark-images", type=positive, default=600, metavar="N",
                        help="landmark images, every tenth of them for testing (default: 600)")
    parser.add_argument("--seed", type=partial(whole, least=0), default=0, metavar="N",
                        help="of every random draw (default: 0)")
    parser.add_argument("--workers", type=positive, default=os.cpu_count(), metavar="N",
                        help="processes (default: one a core; the result does not depend on it)")
    parser.add_argument("--force", action="store_true", help="draw it again, though it is there")
    run_main(main, parser.parse_args())
