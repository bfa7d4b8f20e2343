"""TensorFlow and Keras without the messages about processors and drivers that they write to stderr while they load."""
import os

from detection.quiet import quiet

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
