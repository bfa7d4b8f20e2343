#!/usr/bin/env bash
# OpenVINO divides whole numbers as float32, so Div and Mod of int32 and int64 are wrong above 2 ** 24.
#
# Graphs compute places in whole numbers to be exact: a pixel's row is index / width, its column index % width.
# Expected: 202349146 / 1081 = 187186, rest 1080, in every runtime and in both types.
# Seen: ONNX Runtime and ONNX's reference say so; OpenVINO says 187187, rest 0. Nothing warns, and sums and products of
# the same numbers are exact. Of numbers just below, at and above a multiple, a third get a wrong quotient.
#
# onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1; wrong ones of 10,000, int64 and int32 alike:
#   ONNX Runtime    Div 187186, wrong 0      Mod 1080, wrong 0
#   ONNX reference  Div 187186, wrong 0      Mod 1080, wrong 0
#   OpenVINO        Div 187187, wrong 3217   Mod 0, wrong 6731
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6

run <<'EOF'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(0)
divisors = rng.integers(1, 2000, 9999)
numbers = rng.integers(2 ** 27, 2 ** 28, 9999) // divisors * divisors + rng.integers(-1, 2, 9999)
numbers, divisors = np.append(202349146, numbers), np.append(1081, divisors)
true = {"Div": numbers // divisors, "Mod": numbers % divisors}
found = {}
for name, kind in (("int64", TensorProto.INT64), ("int32", TensorProto.INT32)):
    inputs = {"number": numbers.astype(name), "divisor": divisors.astype(name)}
    for operator, right in true.items():
        graph = helper.make_graph([helper.make_node(operator, list(inputs), ["result"])], "one",
                                  [helper.make_tensor_value_info(each, kind, ["n"]) for each in inputs],
                                  [helper.make_tensor_value_info("result", kind, ["n"])])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        checker.check_model(model)
        data, core = model.SerializeToString(), openvino.Core()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for runtime, result in {"ONNX Runtime": session.run(None, inputs)[0],
                                "ONNX reference": ReferenceEvaluator(model).run(None, inputs)[0],
                                "OpenVINO": core.compile_model(core.read_model(data), "CPU")(inputs)[0]}.items():
            found.setdefault(runtime, []).append((name, operator, int(result[0]), int((result != right).sum())))
for runtime, rows in found.items():
    answers = [f"{name} {operator} {first}, wrong {wrong}" for name, operator, first, wrong in rows]
    print(f"{runtime:15}", "   ".join(answers))
for runtime, rows in found.items():
    for _, _, _, wrong in rows:
        if (wrong > 1000) != (runtime == "OpenVINO"):
            raise SystemExit(f"{runtime} divides whole numbers otherwise than it did.")
EOF
