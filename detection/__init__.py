"""The detection library: finds faces with the three nets. Needs only NumPy and OpenCV, and nothing of training."""
import os

from config import MAX_PIXELS

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))     # read when OpenCV loads

from detection.cascade import Detector, Faces
from detection.errors import UserError

__all__ = ["Detector", "Faces", "UserError"]
