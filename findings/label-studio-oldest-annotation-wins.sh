#!/usr/bin/env bash
# label-studio-converter exports the oldest annotation of a task to YOLO and Pascal VOC, and to COCO the image twice.
#
# A task holds several annotations when a second person labels it or somebody labels it again.
# Expected: the newest one (the converter sorts them newest first), or all of them in one file.
# Seen: it writes a label file for each annotation under the same name, newest first, so the oldest is what stays. The
# COCO file lists the image once for each annotation, under different ids, each with a part of the boxes.
#
# label-studio-converter 0.0.59, Python 3.11; the old annotation starts at x = 40, the correction at x = 80:
#   YOLO: x = 40
#   VOC:  x = 40
#   COCO: a.png as image 0 with x = 80, a.png as image 1 with x = 40
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install label-studio-converter==0.0.59 numpy==2.4.6

run <<'EOF'
import json
import xml.etree.ElementTree as ET
from pathlib import Path

from label_studio_converter import Converter
from PIL import Image

WIDTH, HEIGHT = 400, 100
VIEW = """<View><Image name="image" value="$image"/>
<RectangleLabels name="label" toName="image"><Label value="face"/></RectangleLabels></View>"""


def annotation(number, date, x):
    value = {"x": x / WIDTH * 100, "y": 10, "width": 10, "height": 40, "rotation": 0, "rectanglelabels": ["face"]}
    result = {"from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value,
              "original_width": WIDTH, "original_height": HEIGHT}
    return {"id": number, "created_at": date, "result": [result]}


Image.new("RGB", (WIDTH, HEIGHT)).save("a.png")
task = {"id": 1, "data": {"image": str(Path("a.png").resolve())},
        "annotations": [annotation(1, "2026-01-01T00:00:00Z", 40), annotation(2, "2026-06-01T00:00:00Z", 80)]}
Path("tasks.json").write_text(json.dumps([task]))
converter = Converter(VIEW, ".")
converter.convert_to_yolo("tasks.json", "yolo", is_dir=False)
converter.convert_to_voc("tasks.json", "voc", is_dir=False)
converter.convert_to_coco("tasks.json", "coco", is_dir=False)

_, center, _, width, _ = map(float, Path("yolo/labels/a.txt").read_text().split())
yolo = round((center - width / 2) * WIDTH)
voc = int(ET.parse("voc/Annotations/a.xml").findtext("object/bndbox/xmin"))
coco = json.loads(Path("coco/result.json").read_text())
names = {image["id"]: Path(image["file_name"]).name for image in coco["images"]}
boxes = [(names[box["image_id"]], box["image_id"], round(box["bbox"][0])) for box in coco["annotations"]]
print("YOLO: x =", yolo)
print("VOC:  x =", voc)
print("COCO:", ", ".join(f"{name} as image {number} with x = {x}" for name, number, x in boxes))
if (yolo, voc, boxes) != (40, 40, [("a.png", 0, 80), ("a.png", 1, 40)]):
    raise SystemExit("label-studio-converter no longer exports the oldest annotation of a task that has two.")
EOF
