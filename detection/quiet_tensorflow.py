"""TensorFlow and Keras without their chatter about processors and drivers, which goes to stderr while they load."""
import os

from detection.quiet import quiet

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet():
    import tensorflow as tf
    import keras

__all__ = ["keras", "tf"]
