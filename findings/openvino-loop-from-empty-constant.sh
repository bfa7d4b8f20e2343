#!/usr/bin/env bash
# OpenVINO refuses an ONNX Loop whose carried tensor starts as a constant without elements.
#
# A list that grows in a Loop starts empty: an initializer of shape (0, 4), to which each turn appends rows.
# Expected: the same as from an empty tensor that ConstantOfShape makes; it is the same value.
# Seen: a constant of shape (0, 4) becomes a scalar when OpenVINO reads it as a Loop's start, so that the Concat in the
# loop has no axis 0. The error names a dimension out of range and not the constant. ONNX Runtime runs both.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1; rows after three turns:
#   ONNX Runtime  constant 3   ConstantOfShape 3
#   OpenVINO      constant refused   ConstantOfShape 3
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6

run <<'EOF'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, checker, helper, numpy_helper

node, value = helper.make_node, helper.make_tensor_value_info
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
body = helper.make_graph(
    [node("Concat", ["before", "row"], ["after"], axis=0), node("Identity", ["going"], ["on"])], "body",
    [value("turn", INT64, []), value("going", BOOL, []), value("before", FLOAT, ["rows", 4])],
    [value("on", BOOL, []), value("after", FLOAT, ["more", 4])])
empty = np.zeros((0, 4), np.float32)
starts = {"constant": ([], {"start": empty}),
          "ConstantOfShape": ([node("ConstantOfShape", ["shape"], ["start"])], {"shape": np.int64(empty.shape)})}
row, found = np.ones((1, 4), np.float32), {}
for start, (nodes, constants) in starts.items():
    constants = {"turns": np.int64(3), "yes": np.bool_(True), **constants}
    graph = helper.make_graph(
        [*nodes, node("Loop", ["turns", "yes", "start"], ["list"], body=body)], "grow", [value("row", FLOAT, [1, 4])],
        [value("list", FLOAT, ["length", 4])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    data, core = model.SerializeToString(), openvino.Core()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found.setdefault("ONNX Runtime", {})[start] = str(len(session.run(None, {"row": row})[0]))
    try:
        rows = len(core.compile_model(core.read_model(data), "CPU")([row])[0])
    except RuntimeError as error:
        print(str(error).strip().splitlines()[-1])
        rows = "refused"
    found.setdefault("OpenVINO", {})[start] = str(rows)
for name, answers in found.items():
    print(f"{name:13}", "   ".join(f"{start} {rows}" for start, rows in answers.items()))
if found != {"ONNX Runtime": {"constant": "3", "ConstantOfShape": "3"},
             "OpenVINO": {"constant": "refused", "ConstantOfShape": "3"}}:
    raise SystemExit("A Loop that starts from an empty constant ends otherwise than it did.")
EOF
