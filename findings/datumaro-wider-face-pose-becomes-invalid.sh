#!/usr/bin/env bash
# datumaro reads the last three numbers of a WIDER FACE line in another order than the data set writes them.
#
# The data set: x y w h blur expression illumination INVALID OCCLUSION POSE. datumaro takes the last three for
# OCCLUDED, POSE and INVALID. Expected: "invalid" is the annotators' mark for a face that nobody should learn from.
# Seen: a face in an atypical pose arrives as invalid, and a face marked invalid arrives as occluded. Whoever drops the
# invalid faces drops the unusual poses and trains on the rest. Nothing is said, and datumaro's own round trip hides
# it, for it writes the same order.
#
# datumaro 1.13.12, Python 3.11:
#   marked invalid    -> {'invalid': '0', 'occluded': '1', 'pose': '0'}
#   heavily occluded  -> {'invalid': '0', 'occluded': '0', 'pose': '2'}
#   atypical pose     -> {'invalid': '1', 'occluded': '0', 'pose': '0'}
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install datumaro==1.13.12 numpy==2.4.6

mkdir -p set/wider_face_split set/WIDER_train/images/0--Parade
cat > set/wider_face_split/wider_face_train_bbx_gt.txt <<'EOF'
0--Parade/a.jpg
3
10 20 30 40 0 0 0 1 0 0
50 20 30 40 0 0 0 0 2 0
90 20 30 40 0 0 0 0 0 1
EOF
run <<'EOF'
import numpy as np
from datumaro import Dataset
from PIL import Image

Image.fromarray(np.zeros((100, 200, 3), np.uint8)).save("set/WIDER_train/images/0--Parade/a.jpg")
item, = Dataset.import_from("set", "wider_face")
boxes = [a for a in item.annotations if a.type.name == "bbox"]
flags = [{name: box.attributes[name] for name in ("invalid", "occluded", "pose")} for box in boxes]
for face, flag in zip(("marked invalid", "heavily occluded", "atypical pose"), flags, strict=True):
    print(f"{face:17} -> {flag}")
if [int(flag["invalid"]) for flag in flags] != [0, 0, 1]:
    raise SystemExit("datumaro no longer takes WIDER FACE's pose for its mark of invalid faces.")
EOF
