#!/usr/bin/env bash
# label-studio-converter turns a rotated rectangle in percent of the sides, not in pixels, for COCO.
#
# Label Studio stores x and width in percent of the image's width, y and height in percent of its height.
# Expected: a square of 40x40 px, turned by 90 degrees, is a square of 40x40 px.
# Seen: on an image of 400x100 px it becomes a box of 160x10 px at another place, for a percent of the width is four
# times a percent of the height. The same rectangle's Pascal VOC box ignores the rotation. On a square image the COCO
# box is right.
#
# label-studio-converter 0.0.59, Python 3.11; x y width height in pixels:
#   true box:  160 10 40 40
#   COCO:      40 10 160 10
#   VOC:       200 10 40 40
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

Image.new("RGB", (WIDTH, HEIGHT)).save("a.png")
# The corner that was the upper left one lies at (200, 10); turned clockwise around it, the square lies to its left.
value = {"x": 50, "y": 10, "width": 10, "height": 40, "rotation": 90, "rectanglelabels": ["face"]}
result = {"from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value,
          "original_width": WIDTH, "original_height": HEIGHT}
task = {"id": 1, "data": {"image": str(Path("a.png").resolve())}, "annotations": [{"id": 1, "result": [result]}]}
Path("tasks.json").write_text(json.dumps([task]))
converter = Converter(VIEW, ".")
converter.convert_to_coco("tasks.json", "coco", is_dir=False)
converter.convert_to_voc("tasks.json", "voc", is_dir=False)

coco = [round(x) for x in json.loads(Path("coco/result.json").read_text())["annotations"][0]["bbox"]]
corners = ET.parse("voc/Annotations/a.xml").find("object/bndbox")
x1, y1, x2, y2 = (int(corners.findtext(name)) for name in ("xmin", "ymin", "xmax", "ymax"))
voc = [x1, y1, x2 - x1, y2 - y1]
print("true box:  160 10 40 40")
print("COCO:     ", *coco)
print("VOC:      ", *voc)
if coco != [40, 10, 160, 10] or voc != [200, 10, 40, 40]:
    raise SystemExit("label-studio-converter writes other boxes for a rotated rectangle on an oblong image.")
EOF
