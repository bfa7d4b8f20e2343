"""What other runtimes ask of the exports: shapes that are known, attributes that are written, few operations."""
import numpy as np
import pytest

from config import CASCADE, PNET, RNET
from detection.engines import Net, lite_graph, onnx_graph
from detection.images import normalize
from export import layouts
from export.targets import TARGETS
from test_nets import lively

ALL = pytest.mark.parametrize("stage", CASCADE, ids=lambda s: s.name)
CLOSE = 1e-4


def batches(stage, rng):
    """uint8 inputs: the net's own size, then others: larger images, or more crops."""
    sizes = [(1, 12, 12), (1, 40, 62), (1, 41, 63)] if stage is PNET else [(n, stage.size, stage.size) for n in (1, 7)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def scores(stage, arrays, batch):
    """The face scores that detection gives, (N, ..., 2)."""
    net = Net(stage, arrays, ("face",))
    return net.maps(batch[0])[0][None] if stage is PNET else net(batch)[0]


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    """Name of a net -> (arrays, its .tflite file)."""
    folder, rng = tmp_path_factory.mktemp("tflite"), np.random.default_rng(3)
    written = {}
    for stage in CASCADE:
        arrays, path = lively(stage, rng), folder / f"{stage.name}.tflite"
        TARGETS["tflite"].write(stage, arrays, path)
        written[stage.name] = arrays, path
    return written


@ALL
def test_tflite_stores_every_shape_and_runs_without_a_resize(stage, tflite):
    from tensorflow.lite.tools import flatbuffer_utils
    _, path = tflite[stage.name]
    graph = flatbuffer_utils.read_model(str(path)).subgraphs[0]
    assert graph.tensors[graph.inputs[0]].shape.tolist() == [1, stage.size, stage.size, 3]
    assert graph.tensors[graph.inputs[0]].shapeSignature[0] == -1
    heads = sorted(graph.tensors[i].shape.size for i in graph.outputs)
    assert heads == [4 if stage is PNET else 2] * len(heads)
    assert all(graph.tensors[i].shape.prod() > 0 for i in graph.outputs)


@ALL
def test_tflite_flattens_in_one_operation(stage, tflite):
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils
    model = flatbuffer_utils.read_model(str(tflite[stage.name][1]))
    codes = [model.operatorCodes[op.opcodeIndex].builtinCode for op in model.subgraphs[0].operators]
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    used = [names[code] for code in codes]
    assert used.count("RESHAPE") == (stage is not PNET)
    assert not {"SHAPE", "PACK", "STRIDED_SLICE"} & set(used)


@ALL
def test_litert_runs_tflite_at_its_own_size_and_at_others(stage, tflite, rng):
    interpreters = pytest.importorskip("ai_edge_litert.interpreter")
    compiled = pytest.importorskip("ai_edge_litert.compiled_model")
    arrays, path = tflite[stage.name]
    for batch in batches(stage, rng):
        wanted, x = scores(stage, arrays, batch), normalize(batch.astype(np.float32))
        interpreter = interpreters.Interpreter(str(path))
        if x.shape != (1, stage.size, stage.size, 3):
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], x.shape)
        interpreter.allocate_tensors()
        np.testing.assert_allclose(interpreter.get_signature_runner()(input=x)["face"], wanted, atol=CLOSE)
        model = compiled.CompiledModel.from_file(str(path))
        if x.shape != (1, stage.size, stage.size, 3):
            model.resize_input_tensor(0, list(x.shape))
        inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        inputs[0].write(x)
        model.run_by_index(0, inputs, outputs)
        face = next(i for i, name in enumerate(model.get_signature_by_index(0)["outputs"]) if name == "face")
        np.testing.assert_allclose(outputs[face].read(wanted.size, np.float32), wanted.ravel(), atol=CLOSE)


def test_fully_connected_layers_of_the_engine_s_model_have_options(rng):
    """An empty table at least: OpenVINO does not read a layer without one."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(lite_graph.build(RNET, lively(RNET, rng))))
    dense = [op for op in model.subgraphs[0].operators
             if model.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.FULLY_CONNECTED]
    assert dense and all(op.builtinOptions is not None for op in dense)


@pytest.mark.parametrize("end_pads", [False, True])
@ALL
def test_onnx_writes_what_webgpu_does_not_guess(stage, end_pads, rng):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(onnx_graph.build(stage, lively(stage, rng), layouts.USED[stage.name], end_pads))
    for node in model.graph.node:
        if node.op_type in ("Conv", "MaxPool"):
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            assert {"kernel_shape", "strides", "pads", "dilations"} <= attributes.keys()
            assert len(attributes["pads"]) == 4
            assert not (end_pads and attributes.get("ceil_mode"))


@ALL
def test_end_pads_give_the_numbers_of_ceil_mode(stage, rng):
    runtime = pytest.importorskip("onnxruntime")
    arrays = lively(stage, rng)
    session = runtime.InferenceSession(onnx_graph.build(stage, arrays, ("face",), end_pads=True))
    for batch in batches(stage, rng)[:2]:                # even sides
        x = np.ascontiguousarray(normalize(batch.astype(np.float32)).transpose(0, 3, 1, 2))
        found = np.moveaxis(session.run(None, {"input": x})[0], 1, -1)
        np.testing.assert_allclose(found, scores(stage, arrays, batch), atol=CLOSE)
