"""The whole detector as TensorFlow's SavedModel: its signature "serving_default" answers an image with faces."""
from collections.abc import Mapping
from pathlib import Path

from config import CASCADE
from detection.types import Arrays
from export import layouts
from export.cascade_graph import FACES, Cascade


def write(arrays: Mapping[str, Arrays], path: Path, rgb: bool = False) -> None:
    """Writes a folder. Inputs and outputs are those of detector_onnx.py."""
    from detection.quiet_tensorflow import tf
    from export.tensorflow_operators import TensorFlowGraph
    graph, arrays = TensorFlowGraph(), layouts.of_channels(arrays, rgb)

    class Exported(tf.Module):
        @tf.function(autograph=False, input_signature=[
            tf.TensorSpec([None, None, 3], tf.uint8, name="image"), tf.TensorSpec([], tf.float32, name="min_face"),
            tf.TensorSpec([len(CASCADE)], tf.float32, name="thresholds")])
        def __call__(self, image, min_face, thresholds):
            found = Cascade(graph, arrays).detect(*(graph.tensor(each) for each in (image, min_face, thresholds)))
            return {name: found[name].name for name in FACES}

    exported = Exported()
    tf.saved_model.save(exported, str(path), signatures={"serving_default": exported.__call__})
