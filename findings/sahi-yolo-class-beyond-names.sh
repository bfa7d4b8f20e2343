#!/usr/bin/env bash
# sahi writes COCO's category ids as YOLO's class numbers, but lists the names from 0.
#
# COCO's ids are free and begin at 1 in most files; a YOLO class number is a position in the list `names`, from 0.
# Expected: one category with id 1 becomes class 0 of names [face].
# Seen: class 1 of names [face], which does not exist. With two categories 1 and 2 every object of the first bears the
# name of the second, and the second's have none.
#
# sahi 0.12.8, Python 3.11:
#   categories {1: 'face', 2: 'hand'}; a.jpg holds a face, b.jpg holds a hand
#   names ['face', 'hand']; a.txt says 1 (hand), b.txt says 2 (no such class)
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install sahi==0.12.8 numpy==2.4.6

run <<'EOF'
import json
from pathlib import Path

import yaml
from PIL import Image
from sahi.utils.coco import Coco

categories = {1: "face", 2: "hand"}
files = {1: "a", 2: "b"}
Path("images").mkdir()
for name in files.values():
    Image.new("RGB", (640, 480)).save(f"images/{name}.jpg")
coco = {"images": [{"id": n, "file_name": f"{name}.jpg", "width": 640, "height": 480} for n, name in files.items()],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
        "annotations": [{"id": n, "image_id": n, "category_id": n, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0,
                         "segmentation": []} for n in files]}
Path("coco.json").write_text(json.dumps(coco))
Coco.from_coco_dict_or_path("coco.json", image_dir="images").export_as_yolo("yolo", train_split_rate=1)

names = yaml.safe_load(Path("yolo/data.yml").read_text())["names"]
numbers = [int(Path(f"yolo/train/{name}.txt").read_text().split()[0]) for name in files.values()]
said = [f"{number} ({names[number] if number < len(names) else 'no such class'})" for number in numbers]
print(f"categories {categories}; a.jpg holds a face, b.jpg holds a hand")
print(f"names {names}; a.txt says {said[0]}, b.txt says {said[1]}")
if (names, numbers) != (["face", "hand"], [1, 2]):
    raise SystemExit("sahi no longer writes COCO's category ids as YOLO's class numbers.")
EOF
