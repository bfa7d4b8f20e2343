#!/usr/bin/env bash
# OpenVINO, OpenCV 5 and ONNX's own reference evaluator compute an opset 11 Softmax over a map as if it were opset
# 13's.
#
# Up to opset 12, Softmax with axis=1 flattens everything from axis 1 on and makes all of it sum to 1; since opset 13
# it works along that one axis.
# Expected: every reader heeds the opset that the file states, or refuses it.
# Seen: only ONNX Runtime does. For the same file the three others give probabilities per cell, so a face map from an
# old exporter looks right in three of four runtimes, and is almost zero everywhere in the one that follows the file.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; two channels, two cells:
#   ONNX Runtime    [0.040 0.040 0.110 0.810]
#   ONNX reference  [0.269 0.047 0.731 0.953]
#   OpenVINO        [0.269 0.047 0.731 0.953]
#   OpenCV          [0.269 0.047 0.731 0.953]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere, show

x = np.array([0, 0, 1, 3], np.float32).reshape(1, 2, 1, 2)
results = everywhere(helper.make_node("Softmax", ["x"], ["y"], axis=1), x, opset=11)
show(results, "3f")
flat = np.exp(x) / np.exp(x).sum()
column = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
for name, y in results.items():
    if not np.allclose(y, flat if name == "ONNX Runtime" else column, atol=1e-4):
        raise SystemExit(f"{name} computes another Softmax than it did for a file of opset 11.")
EOF
