#!/usr/bin/env bash
# globox and sahi read a COCO region marked iscrowd (many objects, do not score) as one ordinary object.
#
# Expected: iscrowd 1 in, iscrowd 1 out, or the region left out, or an error.
# Seen: iscrowd 0. A detector trained on the result learns one box for a whole crowd; an evaluation counts the region
# as an object that nobody finds, and everything found inside it as a false positive.
#
# globox 2.9.0, sahi 0.12.8, Python 3.11; one face and one crowd of 300x400 px:
#   in:     iscrowd [0, 1]
#   globox: iscrowd [0, 0]
#   sahi:   iscrowd [0, 0]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install globox==2.9.0 sahi==0.12.8 numpy==2.4.6

run <<'EOF'
import json
from pathlib import Path

from globox import AnnotationSet
from sahi.utils.coco import Coco

coco = {"images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
        "categories": [{"id": 1, "name": "face"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0,
                         "segmentation": []},
                        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [200, 20, 300, 400], "area": 120000,
                         "iscrowd": 1, "segmentation": []}]}
Path("in.json").write_text(json.dumps(coco))
AnnotationSet.from_coco("in.json").save_coco("globox.json")
written = {"in": coco, "globox": json.loads(Path("globox.json").read_text()),
           "sahi": Coco.from_coco_dict_or_path("in.json").json}
flags = {name: [box["iscrowd"] for box in file["annotations"]] for name, file in written.items()}
for name, flag in flags.items():
    print(f"{name + ':':7} iscrowd {flag}")
if flags["globox"] != [0, 0] or flags["sahi"] != [0, 0]:
    raise SystemExit("globox or sahi no longer writes a crowd region as an ordinary object.")
EOF
