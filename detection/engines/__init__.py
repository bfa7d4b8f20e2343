"""Engines run one net on a batch: LiteRT where its package or TensorFlow is installed, else OpenCV; OpenVINO and
TensorFlow on a GPU where they are asked for.

Measured in bench/README.md: LiteRT takes less than half of OpenCV's time for R-Net and O-Net. All engines give the same
numbers to the last digits, but for OpenVINO's in bfloat16; the tests compare them with each other and with the Keras
models.
"""
from detection.engines.net import NAMED, CascadeNet, Engine, Net, fastest, named

__all__ = ["NAMED", "CascadeNet", "Engine", "Net", "fastest", "named"]
