#!/usr/bin/env bash
# OpenCV 5 takes the step of an ONNX Resize from the rounded sizes, not from the scales in the file.
#
# Expected: with scales given, output pixel i reads the input at (i + 0.5) / scale - 0.5, whatever size the product was
# rounded down to.
# Seen: OpenCV reads at (i + 0.5) * old size / new size - 0.5. For 9 columns and the scale 0.709, the usual step of a
# face detector's image pyramid, the sixth pixel comes from 0.5 px farther right: boxes found on such a level move.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; every row is 0 1 2 ... 8:
#   ONNX Runtime    [0.21 1.62 3.03 4.44 5.85 7.26]
#   ONNX reference  [0.21 1.62 3.03 4.44 5.85 7.26]
#   OpenVINO        [0.21 1.62 3.03 4.44 5.85 7.26]
#   OpenCV          [0.25 1.75 3.25 4.75 6.25 7.75]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere, show

x = np.tile(np.arange(9, dtype=np.float32), (1, 1, 9, 1))
node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")
results = everywhere(node, x, opset=13, scales=np.array([1, 1, 0.709, 0.709], np.float32))
show({name: y[0, 0, 2] for name, y in results.items()}, "2f")
pixels = np.arange(6) + 0.5
for name, y in results.items():
    if not np.allclose(y[0, 0], (pixels * 9 / 6 if name == "OpenCV" else pixels / 0.709) - 0.5, atol=1e-3):
        raise SystemExit(f"{name} reads other places than it did for a Resize with scales.")
EOF
