"""Batch normalization and PReLU as Keras layers that are cheap on a CPU.

Keras' own layers take half of O-Net's training step: they are many passes over the largest arrays, and the gradient of
the slopes is a slow sum. Here the normalization is TensorFlow's one fused operation, the PReLU one compiled pass each
way, and that sum a product of matrices.
"""
from config import NORM_EPSILON, NORM_MOMENTUM, PRELU_INIT
from detection.quiet_tensorflow import keras, tf
from train import replicas


class Norm(keras.layers.Layer):
    """(B, ..., C) -> the same, each channel with the mean `beta` and the deviation `gamma` over the whole batch.

    When the net predicts, running averages of mean and variance take the place of the batch's.
    """
    epsilon, momentum = NORM_EPSILON, NORM_MOMENTUM

    def build(self, shape: tuple) -> None:
        def channel(name, start, trainable):
            return self.add_weight(shape=shape[-1:], initializer=start, name=name, trainable=trainable, autocast=False)

        self.gamma, self.beta = channel("gamma", "ones", True), channel("beta", "zeros", True)
        self.moving_mean = channel("moving_mean", "zeros", False)
        self.moving_variance = channel("moving_variance", "ones", False)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        image = x if len(x.shape) == 4 else x[:, None, None, :]
        running = {} if training else {"mean": self.moving_mean, "variance": self.moving_variance}
        if training and (replicas.count() > 1 or x.shape[-1] % 4):     # fused, it would take ten times as long
            y, mean, variance = self._plain(image)
        else:
            y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                image, self.gamma, self.beta, epsilon=self.epsilon, is_training=training, **running)
        if training:
            for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(average * self.momentum + value * (1 - self.momentum))
        return y if len(x.shape) == 4 else y[:, 0, 0, :]

    def _plain(self, image):
        """image (b, H, W, C) of each replica -> what fused_batch_norm gives on the whole batch: y, mean, variance."""
        mean, variance, values = replicas.moments(image)
        y = tf.nn.batch_normalization(tf.cast(image, tf.float32), mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(y, image.dtype), mean, variance * values / (values - 1)


class PReLU(keras.layers.Layer):
    """(B, ..., C) -> x where positive, alpha x elsewhere, with a learned slope alpha for each channel."""

    def build(self, shape: tuple) -> None:
        start = keras.initializers.Constant(PRELU_INIT)
        self.alpha = self.add_weight(shape=shape[-1:], initializer=start, name="alpha")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return prelu(x, tf.convert_to_tensor(self.alpha))


@tf.custom_gradient
def prelu(x: tf.Tensor, alpha: tf.Tensor) -> tuple:
    """x (..., C), alpha (C,) -> (..., C)."""
    def gradient(upstream):
        towards_x, towards_alpha = _prelu_gradients(x, alpha, upstream)
        rows = tf.reshape(towards_alpha, [-1, x.shape[-1]])                           # (N, C)
        return towards_x, (tf.ones([1, tf.shape(rows)[0]], x.dtype) @ rows)[0]

    return _prelu(x, alpha), gradient


@tf.function(jit_compile=True)
def _prelu(x, alpha):
    return tf.where(x > 0, x, alpha * x)


@tf.function(jit_compile=True)
def _prelu_gradients(x, alpha, upstream):
    """Gradient with regard to x (..., C), and each value's part (..., C) of the gradient with regard to alpha (C,)."""
    return tf.where(x > 0, upstream, alpha * upstream), tf.where(x > 0, tf.zeros([], x.dtype), upstream * x)
