"""The library: finds faces with the three nets. Needs NumPy and OpenCV alone, knows nothing of training."""
from detection.cascade import Detector, Faces
from detection.errors import UserError

__all__ = ["Detector", "Faces", "UserError"]
