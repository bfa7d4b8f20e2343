#!/usr/bin/env bash
# OpenVINO's RoiAlign with mode="max" gives up to four times the value of the other ONNX runtimes.
#
# Expected: one operator, one value.
# Seen: ONNX Runtime, OpenCV 5 and ONNX's reference take the largest of the weighted corners before they are added up
# to a sample; OpenVINO adds them up first and takes the largest sample. The mode "avg" agrees everywhere, so a check
# of an export with the default mode shows nothing.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; a 4x4 map of 0 1 2 ... 15, one
# region:
#   ONNX Runtime    avg 7.500  max 5.625
#   ONNX reference  avg 7.500  max 5.625
#   OpenVINO        avg 7.500  max 11.250
#   OpenCV          avg 7.500  max 5.625
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere

x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
region = np.array([[0.5, 0.5, 3.5, 3.5]], np.float32)
found = {}
for mode in ("avg", "max"):
    node = helper.make_node("RoiAlign", ["x", "region", "image"], ["y"], mode=mode, sampling_ratio=2)
    for name, y in everywhere(node, x, opset=16, region=region, image=np.zeros(1, np.int64)).items():
        found.setdefault(name, {})[mode] = float(y.item())
for name, values in found.items():
    print(f"{name:15}", "  ".join(f"{mode} {value:.3f}" for mode, value in values.items()))
for name, values in found.items():
    if abs(values["avg"] - 7.5) > 1e-3 or abs(values["max"] - (11.25 if name == "OpenVINO" else 5.625)) > 1e-3:
        raise SystemExit(f"{name} answers RoiAlign otherwise than it did.")
EOF
