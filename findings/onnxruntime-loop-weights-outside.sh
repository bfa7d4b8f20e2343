#!/usr/bin/env bash
# ONNX Runtime computes a convolution in a Loop slower where its weights are initializers of the graph around the Loop.
#
# A subgraph may use the values around it, so an exporter has no reason to put weights into the body of a Loop or an If.
# Expected: the same time, wherever the weights are. Both files give the same numbers.
# Seen: 1.4 times the time. At its default level of optimization, ONNX Runtime keeps maps in blocks of channels, for
# which it reorders the weights beforehand. It looks for them in the convolution's own graph alone, and otherwise
# leaves the convolution as it is, without a message. In the optimized file such convolutions have another domain.
#
# onnxruntime 1.32.0 with numpy 2.4.6 and onnx 1.23.2, one thread of an AMD EPYC with AVX-512; ms for two convolutions:
#   weights inside 2.19   outside 3.05
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

run <<'EOF'
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
x = rng.normal(size=(8, 32, 23, 23)).astype(np.float32)
weights = [numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)
           for name, shape in (("w1", (64, 32, 3, 3)), ("w2", (32, 64, 3, 3)))]
node, value, FLOAT = helper.make_node, helper.make_tensor_value_info, TensorProto.FLOAT


def model(inside):
    """One turn of a Loop: two convolutions; their weights lie inside its body, or in the graph around it."""
    nodes = [node("Conv", ["x", "w1"], ["a"]), node("Relu", ["a"], ["b"]), node("Conv", ["b", "w2"], ["after"]),
             node("Identity", ["going"], ["on"])]
    body = helper.make_graph(nodes, "body", [value("i", TensorProto.INT64, []), value("going", TensorProto.BOOL, []),
                                             value("before", FLOAT, None)],
                             [value("on", TensorProto.BOOL, []), value("after", FLOAT, [8, 32, 19, 19])],
                             weights if inside else [])
    once = numpy_helper.from_array(np.int64(1), "once")
    graph = helper.make_graph([node("Loop", ["once", "", "x"], ["y"], body=body)], "graph",
                              [value("x", FLOAT, x.shape)], [value("y", FLOAT, [8, 32, 19, 19])],
                              [once, *([] if inside else weights)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


sessions, blocks, outputs, seconds = {}, {}, {}, {}
for name in ("inside", "outside"):
    file = model(name == "inside")
    onnx.checker.check_model(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.optimized_model_filepath = f"{name}.onnx"
    sessions[name] = onnxruntime.InferenceSession(file.SerializeToString(), options,
                                                  providers=["CPUExecutionProvider"])
    loop = next(n for n in onnx.load(f"{name}.onnx").graph.node if n.op_type == "Loop")
    blocks[name] = sum(n.domain == "com.microsoft.nchwc" and n.op_type == "Conv" for n in loop.attribute[0].g.node)
for _ in range(40):                                   # by turns, so that other load on the machine affects all alike
    for name, session in sessions.items():
        start = time.process_time()
        outputs[name], = session.run(None, {"x": x})
        seconds[name] = min(time.process_time() - start, seconds.get(name, 9))
print("   ".join(f"{name} {1000 * taken:.2f}, in blocks {blocks[name]}" for name, taken in seconds.items()))
np.testing.assert_allclose(outputs["inside"], outputs["outside"], rtol=1e-3, atol=1e-4)
if not blocks["inside"]:
    raise SystemExit("On this processor ONNX Runtime computes nothing in blocks of channels.")
if blocks["outside"]:
    raise SystemExit("ONNX Runtime now finds the weights outside, too.")
EOF
