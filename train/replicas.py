"""One batch on several replicas, GPUs or machines: each takes its rows, and the result is that of one device.

Every worker reads the whole batch, so all know its labels and targets, and prepares the images of its own rows: those
of its replicas. A replica runs the net on its rows. The losses need the outputs of all rows (the hardest 70 % are those
of the whole batch), so the replicas exchange them.
"""
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from detection.errors import UserError
from detection.quiet_tensorflow import tf


def task() -> tuple[str, int]:
    """(type, index) of this process in TF_CONFIG: ("worker", 0) where there is none."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return "worker", 0
    try:
        cluster, own = (json.loads(text)[key] for key in ("cluster", "task"))
        cluster[own["type"]][own["index"]]
    except (ValueError, LookupError, TypeError):
        raise UserError(f"TF_CONFIG: {text!r} does not name this task and the addresses of all; see docs/cluster.md") \
            from None
    return own["type"], own["index"]


def is_chief() -> bool:
    """Whether this process writes checkpoints, logs and weights: the first worker, or the one of type "chief"."""
    kind, index = task()
    return index == 0 and (kind == "chief" or "chief" not in json.loads(os.environ.get("TF_CONFIG") or "{}").get(
        "cluster", {}))


def strategy() -> tf.distribute.Strategy:
    """Several machines where TF_CONFIG names them, else all GPUs of this one, else its CPU or only GPU.

    With several machines, it returns when all are connected.
    """
    if os.environ.get("TF_CONFIG"):
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def require_same(strategy: tf.distribute.Strategy, value, what: str) -> None:
    """UserError unless all workers hold the same JSON value. what: its name, for the message."""
    number = tf.constant(zlib.crc32(json.dumps(value).encode()), tf.int64)
    everyone = strategy.run(tf.function(lambda: total(number)))
    if strategy.experimental_local_results(everyone)[0] != number * strategy.num_replicas_in_sync:
        raise UserError(f"the workers do not have the same {what}; give all the same command, and shared folders")


@contextmanager
def lost_worker_is_user_error() -> Iterator[None]:
    """Turns TensorFlow's errors about a worker that has died into a UserError."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
            tf.errors.DeadlineExceededError):
        if not os.environ.get("TF_CONFIG"):
            raise
        raise UserError("a worker of this training has died; start the same command on all of them again: they resume "
                        "at the last checkpoint") from None


def count() -> int:
    """Replicas that share a batch."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def total(values: tf.Tensor) -> tf.Tensor:
    """Tensors -> their sums over the replicas. Differentiable: the gradient of a sum over all is the sum of all's.

    A tensor that is one object for all replicas, such as a constant, MirroredStrategy would not add up: hence identity.
    """
    return tf.distribute.get_replica_context().all_reduce("SUM", tf.nest.map_structure(tf.identity, values))


def moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """x (b, H, W, C) of each replica -> mean (C,), variance (C,) over all of them, float32; values in each channel."""
    x = tf.cast(x, tf.float32)
    values = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
    sums = total(tf.concat([tf.reduce_sum(x, [0, 1, 2]), [values]], 0))
    mean, values = sums[:-1] / sums[-1], tf.stop_gradient(sums[-1])
    return mean, total(tf.reduce_sum(tf.square(x - mean), [0, 1, 2])) / values, values


def rows(batch_size: tf.Tensor) -> tf.Tensor:
    """Numbers (b,) of this replica's rows of a batch: every n-th, so that each kind of sample is shared evenly."""
    context = tf.distribute.get_replica_context()
    return tf.range(context.replica_id_in_sync_group, batch_size, context.num_replicas_in_sync)


class Share:
    """The part of each batch of `batch_size` samples whose images this process prepares: the rows of its replicas.

    rows: their numbers (b,), ascending; None where they are all.
    """

    def __init__(self, strategy: tf.distribute.Strategy, batch_size: int):
        of_replica = strategy.run(lambda: tf.identity(tf.distribute.get_replica_context().replica_id_in_sync_group))
        self._own = [int(number) for number in strategy.experimental_local_results(of_replica)]
        everyone = strategy.num_replicas_in_sync
        self.rows = None if len(self._own) == everyone else np.array(
            [row for row in range(batch_size) if row % everyone in self._own], np.int32)

    def of_replica(self, values: tf.Tensor) -> tf.Tensor:
        """values (b, ...) of the prepared rows -> those of this replica's rows."""
        if len(self._own) == 1:
            return values
        own = tf.distribute.get_replica_context().replica_id_in_sync_group - self._own[0]
        return tf.gather(values, tf.range(own, tf.shape(values)[0], len(self._own)))


def gather(outputs: dict[str, tf.Tensor], batch_size: tf.Tensor) -> dict[str, tf.Tensor]:
    """Head -> this replica's rows (b, c); returns head -> the rows of all replicas (B, c), in the batch's order.

    To a gradient tape only this replica's rows are variable; the optimizer adds the gradients of all replicas.
    """
    if count() == 1:
        return outputs
    own = {head: tf.scatter_nd(rows(batch_size)[:, None], value, [batch_size, value.shape[1]])
           for head, value in outputs.items()}
    everyone = total(own)
    return {head: own[head] + tf.stop_gradient(everyone[head] - own[head]) for head in own}
