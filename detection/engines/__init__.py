"""Engines run one net on a batch: TensorFlow Lite where TensorFlow is installed, else OpenCV; TensorFlow on a GPU.

Measured in bench/README.md: TensorFlow Lite takes less than half of OpenCV's time for R-Net and O-Net. All engines give
the same numbers to the last digits; the tests compare them with each other and with the Keras models.
"""
from detection.engines.net import CascadeNet, Engine, Net, fastest

__all__ = ["CascadeNet", "Engine", "Net", "fastest"]
