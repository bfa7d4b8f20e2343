#!/usr/bin/env bash
# OpenVINO and OpenCV 5 add a pooling window that lies wholly outside the map, and its maximum is -3.4e38.
#
# With ceil_mode a last window may hang over the end.
# Expected: a window that would begin behind the end is left out, as ONNX Runtime and ONNX's reference do (and OpenVINO
# itself in AveragePool).
# Seen: one more column, full of the lowest float. Only some widths have one (9 for a window of 2 and a stride of 3),
# so a net for images of any size works on most of them and breaks on a few.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; rows of 0 1 2 ... 8, window 2,
# stride 3:
#   ONNX Runtime    [1 4 7]
#   ONNX reference  [1 4 7]
#   OpenVINO        [1 4 7 -3.4e+38]
#   OpenCV          [1 4 7 -3.4e+38]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere, show

x = np.tile(np.arange(9, dtype=np.float32), (1, 1, 4, 1))
node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1, 2], strides=[1, 3], ceil_mode=1)
rows = {name: y[0, 0, 1] for name, y in everywhere(node, x, opset=13).items()}
show(rows, "2g")
for name, row in rows.items():
    outside = [] if name.startswith("ONNX") else [True]
    if list(row[:3]) != [1, 4, 7] or list(row[3:] < -1e38) != outside:
        raise SystemExit(f"{name} pools otherwise than it did where the last window lies outside.")
EOF
