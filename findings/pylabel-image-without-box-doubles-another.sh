#!/usr/bin/env bash
# pylabel writes a box twice to COCO when an image without a box follows its image.
#
# Expected: COCO in, COCO out, nothing changed: the same images and the same boxes.
# Seen: an image without a box is a row without a box in pylabel's table; the export keeps the previous row's box for
# it, with the previous image's id. Negatives are a part of every detector's labels, so each turns one true box into
# two, which count twice in training, and of which an evaluation counts one as missed.
#
# pylabel 0.1.55 with pandas 2.3.3, Python 3.11 (with pandas 3 reading such a file raises a TypeError):
#   in:  images 5, 9; boxes of images [5]
#   out: images 5, 9; boxes of images [5, 5], with ids [0, 0]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install pylabel==0.1.55 pandas==2.3.3 numpy==2.4.6

run <<'EOF'
import json
from pathlib import Path

from pylabel import importer

coco = {"images": [{"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480} for number in (5, 9)],
        "categories": [{"id": 1, "name": "face"}],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200,
                         "iscrowd": 0}]}
Path("in.json").write_text(json.dumps(coco))
importer.ImportCoco("in.json").export.ExportToCoco("out.json")
out = json.loads(Path("out.json").read_text())


def images(coco):
    return ", ".join(str(image["id"]) for image in coco["images"])


owners = [box["image_id"] for box in out["annotations"]]
print(f"in:  images {images(coco)}; boxes of images [5]")
print(f"out: images {images(out)}; boxes of images {owners}, with ids {[box['id'] for box in out['annotations']]}")
if owners != [5, 5]:
    raise SystemExit("pylabel no longer writes a box twice when an image without a box follows.")
EOF
