"""Writes a video."""
from pathlib import Path

import cv2

from detection.errors import UserError
from detection.media.results import write_bytes


class VideoFile:
    """Writes frames to a video of their size and rate; use it in a `with`, so that it is always closed whole.

    MPEG-4 (mp4v) in an .mp4. It halves the colours' resolution and so has no odd sizes: frames with an odd side go
    into a Motion JPEG .avi instead, whose rate is a whole number. A name with another extension gets this one behind
    it.
    """

    def __init__(self, path, rate):
        self.path, self.rate, self.count, self.codec = Path(path), rate, 0, None
        self._writer = None

    def __enter__(self):
        return self

    def write(self, image):
        """uint8 (H, W, 3), all of one size."""
        if self._writer is None:
            self._open(image.shape[1], image.shape[0])
        self._writer.write(image)
        self.count += 1

    def _open(self, width, height):
        odd = width % 2 or height % 2
        backend, self.codec, suffix = (cv2.CAP_OPENCV_MJPEG, "MJPG", ".avi") if odd else \
            (cv2.CAP_FFMPEG, "mp4v", ".mp4")
        if self.path.suffix.lower() != suffix:
            self.path = self.path.with_name(self.path.name + suffix)
        write_bytes(self.path, b"")                                     # says why, where OpenCV only says no
        self._writer = cv2.VideoWriter(str(self.path), backend, cv2.VideoWriter_fourcc(*self.codec), self.rate,
                                       (width, height))
        if not self._writer.isOpened():
            self.path.unlink()
            raise UserError(f"{self.path}: OpenCV has no {self.codec} encoder for {width} x {height} px here; install "
                            "the opencv-python of requirements.txt")

    def __exit__(self, kind, error, trace):
        if self._writer is None:
            return
        self._writer.release()
        check = cv2.VideoCapture(str(self.path))
        arrived = int(check.get(cv2.CAP_PROP_FRAME_COUNT))
        check.release()
        if kind is None and arrived != self.count:
            raise UserError(f"{self.path}: holds {max(arrived, 0)} of {self.count} frames; is the disk full?")
