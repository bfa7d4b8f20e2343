#!/usr/bin/env bash
# OpenCV 5 computes an ONNX GridSample with mode="cubic" as a linear one.
#
# Opset 20 renamed the modes bilinear and bicubic of opset 16 to linear and cubic.
# Expected: cubic values, or an error for a name that the reader does not know.
# Seen: the values of linear, without a word. Crops and warps inside a graph come out softer in this runtime alone.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; in rows of 0 0 1 0 0 0 2 0:
#   ONNX Runtime    cubic 0.594  linear 0.500
#   ONNX reference  cubic 0.594  linear 0.500
#   OpenVINO        cubic 0.594  linear 0.500
#   OpenCV          cubic 0.500  linear 0.500
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere

x = np.tile(np.array([0, 0, 1, 0, 0, 0, 2, 0], np.float32), (1, 1, 8, 1))
found = {}
for mode in ("cubic", "linear"):
    node = helper.make_node("GridSample", ["x", "place"], ["y"], mode=mode, padding_mode="border")
    for name, y in everywhere(node, x, opset=20, place=np.array([[[[-0.5, 0]]]], np.float32)).items():
        found.setdefault(name, {})[mode] = float(y.item())
for name, values in found.items():
    print(f"{name:15}", "  ".join(f"{mode} {value:.3f}" for mode, value in values.items()))
for name, values in found.items():
    if (abs(values["cubic"] - values["linear"]) < 1e-3) != (name == "OpenCV"):
        raise SystemExit(f"{name} computes GridSample's mode cubic otherwise than it did.")
EOF
