"""Writes a video file."""
import math
from pathlib import Path
from types import TracebackType

import cv2

from detection.errors import UserError
from detection.files import name_for_opencv, write_bytes
from detection.media.names import video_path
from detection.types import Image


class VideoFile:
    """Writes frames to a video of the first one's size; rate: frames/s. Use it in a `with`, so that the file is always
    complete, with the frames so far.

    The rate of the file is constant, the times of the frames need not be: a frame is repeated until the next one is
    due, and left out where the next one is due at the same place: the video lasts as long as its source, to within one
    frame.
    count: the frames in the file.

    MPEG-4 (mp4v) in an .mp4. It stores colors at half the resolution and so takes no odd sizes: frames with an odd side
    go into a Motion JPEG .avi instead, at the next whole rate. This extension is appended to a name with another
    one. UserError where the file cannot be written or no encoder is installed.
    """

    def __init__(self, path: Path | str, rate: float):
        self.path, self.rate, self.count, self.codec = Path(path), rate, 0, ""
        self._writer: cv2.VideoWriter | None = None
        self._pending: Image | None = None
        self._size: tuple[int, int] | None = None                      # width, height, px

    def __enter__(self) -> "VideoFile":
        return self

    def write(self, image: Image, time: float | None = None) -> None:
        """uint8 (H, W, 3), scaled to the size of the first one; time: s since the first frame, None: right after the
        last one."""
        if self._writer is None:
            self._size = image.shape[1], image.shape[0]
            self._writer = self._open(*self._size)
        place = self.count + (self._pending is not None) if time is None else round(time * self.rate)
        while self._pending is not None and self.count < place:
            self._flush(self._pending)
        self._pending = image

    def hold(self, until: float) -> None:
        """Shows the last frame until this time, s since the first frame."""
        while self._pending is not None and self.count + 1 < round(until * self.rate):
            self._flush(self._pending)

    def _flush(self, image: Image) -> None:
        assert self._writer is not None and self._size is not None
        self._writer.write(image if image.shape[1::-1] == self._size else cv2.resize(image, self._size))
        self.count += 1

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        odd = bool(width % 2 or height % 2)
        backend, codec = (cv2.CAP_OPENCV_MJPEG, "MJPG") if odd else (cv2.CAP_FFMPEG, "mp4v")
        self.path = video_path(self.path, odd)
        if odd:
            self.rate = max(math.ceil(self.rate - 0.01), 1)          # OpenCV would round it, and play all at that rate
        name = name_for_opencv(self.path)
        write_bytes(self.path, b"")                      # reports the cause of a failure, which OpenCV does not
        writer = cv2.VideoWriter(name, backend, cv2.VideoWriter.fourcc(*codec), self.rate, (width, height))
        if not writer.isOpened():
            self.path.unlink()
            raise UserError(f"{self.path}: OpenCV has no {codec} encoder for {width} x {height} px here; install the "
                            "opencv-python of requirements.txt")
        self.codec = codec
        return writer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._writer is None:
            return
        if self._pending is not None:
            self._flush(self._pending)
        self._writer.release()
        check = cv2.VideoCapture(name_for_opencv(self.path))
        arrived = int(check.get(cv2.CAP_PROP_FRAME_COUNT))
        check.release()
        if kind is None and arrived != self.count:
            raise UserError(f"{self.path}: holds {max(arrived, 0)} of {self.count} frames; is the disk full?")
