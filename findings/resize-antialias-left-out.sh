#!/usr/bin/env bash
# OpenVINO and OpenCV 5 accept an ONNX Resize with antialias=1 and leave the antialiasing out, without a word.
#
# Expected: the average over the source pixels that opset 18 describes, as ONNX Runtime and ONNX's reference give it,
# or an error.
# Seen: interpolation between two pixels. An image pyramid inside a graph aliases in these two runtimes alone.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; rows 0 0 0 8 0 0 0 8, 8 -> 2
# columns:
#   ONNX Runtime    [1.25 3.00]
#   ONNX reference  [1.25 3.00]
#   OpenVINO        [0.00 0.00]
#   OpenCV          [0.00 0.00]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere, show

x = np.tile(np.array([0, 0, 0, 8, 0, 0, 0, 8], np.float32), (1, 1, 8, 1))
node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], mode="linear", antialias=1)
results = everywhere(node, x, opset=18, size=np.array([1, 1, 8, 2], np.int64))
show({name: y[0, 0, 3] for name, y in results.items()}, "2f")
for name, y in results.items():
    if not np.allclose(y[0, 0], [1.25, 3] if name.startswith("ONNX") else [0, 0], atol=1e-4):
        raise SystemExit(f"{name} resizes with antialias=1 otherwise than it did.")
EOF
