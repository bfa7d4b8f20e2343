#!/usr/bin/env bash
# datumaro's WIDER FACE reader keeps one image of all that have the same file name, whatever their folders.
#
# Expected: 0--Parade/1.jpg and 1--Handshaking/1.jpg are two images, for the file names them with their folders.
# Seen: the reader takes the folder off to make an id; the later image replaces the earlier one with its faces, and
# nothing is said. WIDER FACE's own names are unique; other data sets in its form often count 1.jpg, 2.jpg, ... in each
# folder.
#
# datumaro 1.13.12, Python 3.11:
#   listed: 3 images, 4 faces
#   read:   2 images, 3 faces (1: 2--Demonstration, 2: 1--Handshaking)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install datumaro==1.13.12 numpy==2.4.6

mkdir -p set/wider_face_split
cat > set/wider_face_split/wider_face_train_bbx_gt.txt <<'EOF'
0--Parade/1.jpg
1
10 20 30 40 0 0 0 0 0 0
1--Handshaking/2.jpg
1
50 20 30 40 0 0 0 0 0 0
2--Demonstration/1.jpg
2
90 20 30 40 0 0 0 0 0 0
130 20 30 40 0 0 0 0 0 0
EOF
run <<'EOF'
from pathlib import Path

import numpy as np
from datumaro import Dataset
from PIL import Image

names = ["0--Parade/1.jpg", "1--Handshaking/2.jpg", "2--Demonstration/1.jpg"]
for name in names:
    path = Path("set/WIDER_train/images", name)
    path.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((100, 200, 3), np.uint8)).save(path)
items = sorted(Dataset.import_from("set", "wider_face"), key=lambda item: item.id)
faces = sum(a.type.name == "bbox" for item in items for a in item.annotations)
kept = ", ".join(f"{item.id}: {Path(item.media.path).parent.name}" for item in items)
print(f"listed: {len(names)} images, 4 faces")
print(f"read:   {len(items)} images, {faces} faces ({kept})")
if (len(items), faces) != (2, 3):
    raise SystemExit("datumaro no longer loses WIDER FACE images whose names occur in two folders.")
EOF
