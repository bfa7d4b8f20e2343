"""The project's own layers give what Keras' give, forwards and backwards."""
import numpy as np
import pytest
import tensorflow as tf

from config import NORM_EPSILON, NORM_MOMENTUM
from train import layers

SHAPES = [(16, 5, 7, 6), (16, 5, 7, 8), (16, 6), (16, 8)]      # channels: multiples of four and others


def pair(ours, theirs, shape, rng):
    """The two layers with the same random weights."""
    x = tf.constant(rng.normal(0.3, 2, shape), tf.float32)
    ours(x), theirs(x)
    for mine, other in zip(ours.weights, theirs.weights):
        value = rng.uniform(0.2, 2, other.shape)
        other.assign(value)
        mine.assign(value.reshape(mine.shape))
    return x


def run(layer, x, weight, **how):
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, **how) * weight)
    return [loss, *(tf.reshape(g, [-1]) for g in tape.gradient(loss, [x, *layer.trainable_weights]))]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_norm(shape, training, rng):
    ours = layers.Norm()
    theirs = tf.keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON)
    x, weight = pair(ours, theirs, shape, rng), rng.normal(size=shape).astype(np.float32)
    for mine, other in zip(run(ours, x, weight, training=training), run(theirs, x, weight, training=training)):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)
    samples = np.prod(shape[:-1])
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5)
    # the running variance is the unbiased one
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=20 * (1 - NORM_MOMENTUM) / samples)


@pytest.mark.parametrize("shape", SHAPES)
def test_prelu(shape, rng):
    ours, theirs = layers.PReLU(), tf.keras.layers.PReLU(shared_axes=[1, 2] if len(shape) == 4 else None)
    x, weight = pair(ours, theirs, shape, rng), rng.normal(size=shape).astype(np.float32)
    for mine, other in zip(run(ours, x, weight), run(theirs, x, weight)):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
