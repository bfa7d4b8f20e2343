"""TensorFlow and Keras without their chatter about processors and drivers, which goes to stderr while they load."""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.stderr.flush()
_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)       # the lines come from C++, below sys.stderr; an ImportError is raised all the same
try:
    import tensorflow as tf
    import keras
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)

__all__ = ["keras", "tf"]
