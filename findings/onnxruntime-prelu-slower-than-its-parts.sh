#!/usr/bin/env bash
# ONNX Runtime's PRelu takes several times as long on the processor as max(x, slope x), which gives the same numbers.
#
# PRelu multiplies negative values by a slope, one for each channel; LeakyRelu does so with one slope for all.
# Expected: about the time of LeakyRelu, and less than that of two operators that give the same.
# Seen: 14 times LeakyRelu's time, 6 times that of Mul and Max. In a net of small convolutions with PReLU, as those of
# most face detectors, more time goes into the activations than one would look for there. max(x, slope x) is the same
# where no slope exceeds 1; Relu(x) + slope min(x, 0) is everywhere.
#
# onnxruntime 1.32.0 with numpy 2.4.6 and onnx 1.23.2, one thread of an Intel Xeon; nanoseconds an element:
#   PRelu 4.9   Mul and Max 0.7   LeakyRelu 0.3
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

run <<'EOF'
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 64, 21, 21)).astype(np.float32)
slopes = rng.uniform(-0.5, 0.9, (64, 1, 1)).astype(np.float32)
node = helper.make_node
ways = {"PRelu": [node("PRelu", ["x", "slopes"], ["y"])],
        "Mul and Max": [node("Mul", ["x", "slopes"], ["lower"]), node("Max", ["x", "lower"], ["y"])],
        "LeakyRelu": [node("LeakyRelu", ["x"], ["y"], alpha=0.1)]}
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
sessions, outputs, seconds = {}, {}, {}
for name, nodes in ways.items():
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)
    graph = helper.make_graph(nodes, "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [y],
                              [numpy_helper.from_array(slopes, "slopes")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    sessions[name] = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                  providers=["CPUExecutionProvider"])
for _ in range(15):                                   # by turns, so that other load on the machine affects all alike
    for name, session in sessions.items():
        start = time.process_time()
        outputs[name], = session.run(None, {"x": x})
        seconds[name] = min(time.process_time() - start, seconds.get(name, 9))
print("   ".join(f"{name} {1e9 * taken / x.size:.1f}" for name, taken in seconds.items()))
np.testing.assert_array_equal(outputs["PRelu"], outputs["Mul and Max"])
if seconds["PRelu"] < 2.5 * seconds["Mul and Max"]:
    raise SystemExit("ONNX Runtime's PRelu has become faster.")
EOF
