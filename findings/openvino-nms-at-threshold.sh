#!/usr/bin/env bash
# OpenVINO's NonMaxSuppression also drops a box whose IoU with a better one equals the threshold.
#
# Boxes on a grid meet the threshold exactly: two windows of 12 px that are 4 px apart have an IoU of 96 / 192 = 0.5.
# Expected: the same boxes from every runtime; the operator is older than all of them.
# Seen: ONNX Runtime, ONNX's reference and OpenCV 5 keep both windows at a threshold of 0.5, OpenVINO keeps one. A
# detector that slides over an image loses up to half of its candidates there. With a threshold one float32 above 0.5,
# all four agree.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93; boxes kept of two:
#   ONNX Runtime    0.5: 2   0.50000006: 2
#   ONNX reference  0.5: 2   0.50000006: 2
#   OpenVINO        0.5: 1   0.50000006: 2
#   OpenCV          0.5: 2   0.50000006: 2
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install_runtimes

run <<'EOF'
import cv2
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

boxes, scores = np.float32([[[0, 0, 12, 12], [4, 0, 16, 12]]]), np.float32([[[0.9, 0.8]]])
value = helper.make_tensor_value_info
found = {}
for threshold in (np.float32(0.5), np.nextafter(np.float32(0.5), np.float32(1))):
    constants = {"most": np.int64([2]), "threshold": threshold.reshape(1)}
    graph = helper.make_graph(
        [helper.make_node("NonMaxSuppression", ["boxes", "scores", *constants], ["kept"])], "one",
        [value("boxes", TensorProto.FLOAT, [1, 2, 4]), value("scores", TensorProto.FLOAT, [1, 1, 2])],
        [value("kept", TensorProto.INT64, ["kept", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    data, inputs = model.SerializeToString(), {"boxes": boxes, "scores": scores}
    core = openvino.Core()
    net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    for name, array in inputs.items():
        net.setInput(array, name)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for name, kept in {"ONNX Runtime": session.run(None, inputs)[0],
                       "ONNX reference": ReferenceEvaluator(model).run(None, inputs)[0],
                       "OpenVINO": core.compile_model(core.read_model(data), "CPU")(inputs)[0],
                       "OpenCV": net.forward()}.items():
        found.setdefault(name, {})[f"{threshold:.9g}"[:10]] = len(kept)
for name, counts in found.items():
    print(f"{name:15}", "   ".join(f"{threshold}: {count}" for threshold, count in counts.items()))
for name, counts in found.items():
    if list(counts.values()) != ([1, 2] if name == "OpenVINO" else [2, 2]):
        raise SystemExit(f"{name} suppresses otherwise at the threshold than it did.")
EOF
