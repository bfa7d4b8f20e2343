#!/usr/bin/env bash
# OpenCV 5 puts the odd pixel of SAME padding on the wrong side of an ONNX pooling or convolution.
#
# Expected: when the padding is odd, SAME_UPPER has the odd pixel at the end and SAME_LOWER at the beginning.
# Seen: with SAME_UPPER a pooling of width 3 and stride 2 over an even width begins one pixel too early; with
# SAME_LOWER a convolution of width 2 begins one pixel too late. The shape is right and no warning appears: every
# feature is one pixel off.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; every row is 0 1 2 ... 9:
#   MaxPool, SAME_UPPER
#   ONNX Runtime    [2 4 6 8 9]
#   ONNX reference  [2 4 6 8 9]
#   OpenVINO        [2 4 6 8 9]
#   OpenCV          [1 3 5 7 9]
#   Conv, SAME_LOWER
#   ONNX Runtime    [0 1 3 5 7 9 11 13 15 17]
#   ONNX reference  [0 1 3 5 7 9 11 13 15 17]
#   OpenVINO        [0 1 3 5 7 9 11 13 15 17]
#   OpenCV          [1 3 5 7 9 11 13 15 17 9]
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import numpy as np
from onnx import helper
from runtimes import everywhere, show

x = np.tile(np.arange(10, dtype=np.float32), (1, 1, 4, 1))
pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1, 3], strides=[1, 2], auto_pad="SAME_UPPER")
conv = helper.make_node("Conv", ["x", "kernel"], ["y"], kernel_shape=[1, 2], auto_pad="SAME_LOWER")
found = {"MaxPool, SAME_UPPER": everywhere(pool, x, opset=13),
         "Conv, SAME_LOWER": everywhere(conv, x, opset=13, kernel=np.ones((1, 1, 1, 2), np.float32))}
right = {"MaxPool, SAME_UPPER": [2, 4, 6, 8, 9], "Conv, SAME_LOWER": [0, 1, 3, 5, 7, 9, 11, 13, 15, 17]}
opencv = {"MaxPool, SAME_UPPER": [1, 3, 5, 7, 9], "Conv, SAME_LOWER": [1, 3, 5, 7, 9, 11, 13, 15, 17, 9]}
for layer, results in found.items():
    print(layer)
    show({name: y[0, 0, 1] for name, y in results.items()}, "0f")
for layer, results in found.items():
    for name, y in results.items():
        if not np.array_equal(y[0, 0, 1], opencv[layer] if name == "OpenCV" else right[layer]):
            raise SystemExit(f"{name} answers otherwise than it did for {layer}.")
EOF
