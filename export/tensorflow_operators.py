"""The operators of graph.py in TensorFlow: a graph is run, or traced by tf.function, while it is written."""
import numpy as np

from config import PNET
from detection.engines import folded, tensorflow_gpu
from detection.quiet_tensorflow import tf
from export.graph import Graph, Value


def _reduce(function):
    return lambda x, axes=None, keepdims=1: function(x, axis=axes, keepdims=bool(keepdims))


def _average_pool(x, kernel_shape, strides):
    return tf.transpose(tf.nn.avg_pool2d(tf.transpose(x, (0, 2, 3, 1)), kernel_shape, strides, "VALID"), (0, 3, 1, 2))


def _non_max_suppression(boxes, scores, most, threshold):
    kept = tf.image.non_max_suppression(boxes[0], scores[0, 0], tf.cast(most[0], tf.int32), threshold[0])
    kept = tf.cast(kept, tf.int64)[:, None]
    return tf.concat([tf.zeros_like(kept), tf.zeros_like(kept), kept], 1)


def _top_k(x, _, axis, largest):
    order = tf.argsort(x, axis, "DESCENDING" if largest else "ASCENDING", stable=True)
    return tf.gather(x, order), tf.cast(order, tf.int64)


OPERATORS = {
    "Abs": tf.abs, "Add": tf.add, "And": tf.logical_and, "AveragePool": _average_pool,
    "ArgMax": lambda x, axis, keepdims: tf.expand_dims(tf.argmax(x, axis), axis),
    "Compress": lambda x, mask, axis: tf.boolean_mask(x, mask, axis=axis),
    "Concat": lambda *parts, axis: tf.concat(parts, axis), "ConstantOfShape": tf.zeros,
    "Div": lambda a, b: a / b if a.dtype.is_floating else a // b,
    "Equal": tf.equal, "Exp": tf.exp, "Floor": tf.floor, "Gather": lambda x, i, axis=0: tf.gather(x, i, axis=axis),
    "Greater": tf.greater, "GreaterOrEqual": tf.greater_equal, "Less": tf.less, "LessOrEqual": tf.less_equal,
    "Log": tf.math.log, "MatMul": tf.matmul, "Max": tf.maximum, "Min": tf.minimum, "Mod": tf.math.floormod,
    "Mul": tf.multiply, "NonMaxSuppression": _non_max_suppression, "NonZero": tf.where, "Or": tf.logical_or,
    "Pad": lambda x, pads, black: tf.pad(x, tf.transpose(tf.reshape(pads, (2, -1)))),
    "Pow": tf.pow, "Range": tf.range,
    "ReduceMax": _reduce(tf.reduce_max), "ReduceMean": _reduce(tf.reduce_mean), "ReduceMin": _reduce(tf.reduce_min),
    "ReduceSum": lambda x, axes=None, keepdims=1: tf.reduce_sum(x, axes, bool(keepdims)),
    "Relu": tf.nn.relu, "Reshape": tf.reshape, "Round": tf.round,
    "Shape": lambda x: tf.shape(x, tf.int64), "Sqrt": tf.sqrt, "Sub": tf.subtract, "TopK": _top_k,
    "Transpose": lambda x, perm: tf.transpose(x, perm),
    "Unsqueeze": lambda x, axes: tf.expand_dims(x, axes[0]), "Where": tf.where,
}


class TensorFlowGraph(Graph):
    """Values hold tensors."""

    def tensor(self, tensor) -> Value:
        return Value(self, tensor, tensor.dtype.as_numpy_dtype)

    def constant(self, name, array):
        return self.tensor(tf.constant(array))

    def op(self, operator, *inputs, dtype=None, outputs=1, **attributes):
        tensors = [self.value(each).name for each in inputs]
        if operator == "Cast":
            return self.tensor(tf.cast(tensors[0], dtype))
        found = OPERATORS[operator](*tensors, **attributes)
        return self.tensor(found) if outputs == 1 else [self.tensor(each) for each in found]

    def slice(self, value, slices):
        def bound(thing):
            return thing.name if isinstance(thing, Value) else thing
        return self.tensor(value.name[tuple(slice(bound(s.start), bound(s.stop), s.step) for s in slices)])

    def net(self, stage, arrays, x):
        operations, values = folded.fold(stage, arrays, stage.heads)

        def run(pixels):
            return tensorflow_gpu.forward(operations, values, pixels)

        maps = run(tf.transpose(x.name, (0, 2, 3, 1)))
        return self.tensor(tf.transpose(maps, (0, 3, 1, 2)) if stage is PNET else maps)

    def loop(self, body, *initial, times=None, going=None, scans=0):
        stacks = [None] * scans
        count = times.name if times else tf.constant(np.iinfo(np.int64).max, tf.int64)

        def step(i, _, values, arrays):
            on, *found = body(self.tensor(i), *(self.tensor(value) for value in values))
            tensors = [value.name for value in found]
            arrays = [array.write(tf.cast(i, tf.int32), each) for array, each in zip(arrays, tensors[len(values):])]
            return i + 1, tf.constant(True) if on is None else on.name, tensors[:len(values)], arrays

        arrays = [tf.TensorArray(tf.uint8, 0, dynamic_size=True) for _ in stacks]
        values = [value.name for value in initial]
        any_size = [tf.TensorShape([None] * value.shape.rank) for value in values]
        _, _, values, arrays = tf.while_loop(
            lambda i, on, *_: tf.logical_and(i < count, on), step,
            (tf.constant(0, tf.int64), tf.constant(True) if going is None else going.name, values, arrays),
            (tf.TensorShape([]), tf.TensorShape([]), any_size, [tf.TensorShape(None)] * scans), parallel_iterations=1)
        return [self.tensor(value) for value in [*values, *(array.stack() for array in arrays)]]
