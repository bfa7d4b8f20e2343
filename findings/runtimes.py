"""One ONNX operator in four runtimes: ONNX Runtime, ONNX's reference evaluator, OpenVINO and OpenCV's dnn module."""
import cv2
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def everywhere(node, x, opset, **constants):
    """{runtime: y} of a node with the inputs "x" (float32) and `constants` and the output "y", in float32."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "one", [value("x", TensorProto.FLOAT, x.shape)],
                              [value("y", TensorProto.FLOAT, [f"axis{axis}" for axis in range(4)])],
                              [numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    checker.check_model(model)
    data = model.SerializeToString()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    net.setInput(x)
    return {"ONNX Runtime": session.run(None, {"x": x})[0],
            "ONNX reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
            "OpenVINO": compiled([x])[0], "OpenCV": net.forward()}


def show(results, digits):
    """Prints a line per runtime."""
    for name, y in results.items():
        print(f"{name:15} [{' '.join(f'{value:.{digits}}' for value in np.ravel(y))}]")
