#!/usr/bin/env bash
# albumentations puts a keypoint elsewhere when a flip and a resize change places; the box around it stays.
#
# Expected: flipping and resizing a whole image commute, for boxes and for points; a point on a corner stays on it.
# Seen: a flip sends a point x to width - 1 - x (the point is a pixel's index), a resize sends it to x * factor (the
# point is a distance). So flip then double gives 378, double then flip 379, and the corner of the box, on which the
# point lay, 380 both times. For landmarks on small faces, which are then enlarged, the mirrored half of the training
# data is off by up to the factor.
#
# albumentations 2.0.8, Python 3.11; image 200x100, point (10, 20), box from (10, 20) to (50, 60), doubled:
#   flip, resize: point x 378, box's corner x 380
#   resize, flip: point x 379, box's corner x 380
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install albumentations==2.0.8 numpy==2.4.6
export NO_ALBUMENTATIONS_UPDATE=1

run <<'EOF'
import albumentations as A
import numpy as np

flip, resize = A.HorizontalFlip(p=1), A.Resize(200, 400)
image = np.zeros((100, 200, 3), np.uint8)
seen = []
for name, steps in (("flip, resize", [flip, resize]), ("resize, flip", [resize, flip])):
    both = A.Compose(steps, bbox_params=A.BboxParams(format="pascal_voc", label_fields=[]),
                     keypoint_params=A.KeypointParams(format="xy"))
    out = both(image=image, bboxes=np.array([[10, 20, 50, 60]], np.float32), keypoints=np.array([[10, 20]], np.float32))
    seen.append((round(float(out["keypoints"][0][0]), 3), round(float(out["bboxes"][0][2]), 3)))
    print(f"{name}: point x {seen[-1][0]:g}, box's corner x {seen[-1][1]:g}")
if seen != [(378, 380), (379, 380)]:
    raise SystemExit("albumentations no longer puts a keypoint elsewhere when a flip and a resize change places.")
EOF
