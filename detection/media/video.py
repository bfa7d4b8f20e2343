"""Reads videos, cameras and streams, with the time of each frame; opens a stream again that stalls or closes."""
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from detection.errors import UserError
from detection.files import name_for_opencv
from detection.media.sources import Source, is_stream
from detection.types import Image

Result = TypeVar("Result")

RATE = 25.0              # frames/s, where a source does not state its own
MAX_RATE = 240.0         # frames/s: a higher one is the unit of the times in a container, not a rate
FINE_RATE = 60.0         # frames/s, in place of such a unit; at most, of a copy of a video with a lower mean rate
MAX_GAP = 600.0          # s between two frames: a longer one is a broken time
MISSING_SHARE = 0.02     # of the announced frames; containers that estimate their number are wrong by less
STALL = 10.0             # s without a frame, or until a stream opens, after which it has stalled
RECONNECT = 3            # tries in a row to open a stream again
BACK_OFF = 1.0, 30.0     # s before the first try, twice as long before each further one; at most
STEADY = 60.0            # s of frames, after which the tries are counted from 0 again

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")                    # quiet: errors are reported here, in one line
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class StreamLost(UserError):
    """A camera or stream stalled or closed and could not be opened again; the frames until then are done."""


class Video:
    """An open video, camera or stream. UserError where it does not open.

    rate: frames/s, nominal; announced: the number of frames that it announces, 0 if unknown, an estimate in many
    containers; time: s, when the frame that was read last is shown, the first one at 0; end: s, once all frames were
    read: until when the last one is shown, as far as the file says it.

    A camera or a stream has no end of its own: where it stalls or closes, it is opened again, at most `reconnect` times
    in a row, and `report` gets a line each time. The time without frames counts, up to MAX_GAP.
    """

    def __init__(self, source: Source, reconnect: int = RECONNECT, report: Callable[[str], None] = print):
        self._where = source.where if isinstance(source.where, int) else str(source.where)
        self._remote = isinstance(self._where, str) and is_stream(self._where)
        path = None if isinstance(self._where, int) else Path(self._where)
        self._file, self._slow = bool(path and path.is_file()), self._remote or bool(path and path.is_fifo())
        self._opened = name_for_opencv(path) if path and (path.is_file() or path.is_fifo()) else self._where
        self.name = f"camera {self._where}" if isinstance(self._where, int) else self._where
        self._reconnect, self._report = reconnect, report
        self._waiting = False                            # for frames; the capture must be left alone then
        self._capture = self._open()
        if not self._capture.isOpened():
            raise UserError(f"{self.name}: " + (
                "there is no such camera, or another program uses it; try --camera with another number"
                if isinstance(self._where, int) else
                "does not open as a video; the address is wrong or out of reach" if self._remote else
                "does not open as a video; it is damaged, cut, or of a codec that OpenCV does not have"))
        rate, announced = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        known = math.isfinite(rate) and rate > 0
        self.rate = (rate if rate <= MAX_RATE else FINE_RATE) if known else RATE
        self.announced = int(announced) if math.isfinite(announced) and 0 < announced < 1e9 else 0
        self._duration = self.announced / (rate if known else RATE)              # s
        self._endless = isinstance(self._where, int) or self._remote and not self.announced
        # FFmpeg numbers the frames of Motion JPEG over HTTP at 25 a second, whenever they arrive
        self._arrives = isinstance(self._where, int) or (
            self.name.startswith("http") and not self.announced and
            int(self._capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG"))
        self.time, self.end, self._shift, self._broken = 0.0, 0.0, 0.0, False

    def frames(self) -> Iterator[Image]:
        """Yields uint8 (H, W, 3) in order, with `time` set. Then UserError if there was none, or if the video ends
        before the time and the number of frames that it announces; StreamLost for a camera or a stream."""
        count = tries = 0
        opened = last = time.monotonic()                             # when it was opened; when a frame arrived
        resumed = False
        try:
            while True:
                asked = time.monotonic()
                ok, frame = self._wait(self._capture.read)
                now = time.monotonic()
                if ok:
                    self._set_time(first=not count, gap=min(now - last, MAX_GAP) if resumed else 0)
                    count, last, resumed = count + 1, now, False
                    tries = 0 if now - opened > STEADY else tries
                    yield frame
                    continue
                cause = f"stalled, no frame for {STALL:.0f} s" if now - asked >= STALL else "closed"
                if not (count and self._endless):
                    break
                tries = self._open_again(cause, tries, count)
                opened, resumed = time.monotonic(), True
        finally:
            if not self._waiting:
                self._capture.release()
        if not count:
            raise UserError(f"{self.name}: not one frame can be read; it is empty, damaged, or of a codec that "
                            "OpenCV does not have")
        missing, seconds = self.announced - count, self._duration - (self.time + 1 / self.rate)
        if missing > max(1, MISSING_SHARE * self.announced) and \
                seconds > max(1 / self.rate, MISSING_SHARE * self._duration) and \
                not (self._file and _is_whole_matroska(str(self._where))):
            kept = f"after {count} of {self.announced} frames; the results of these frames are kept"
            if self._remote:
                raise StreamLost(f"{self.name}: {cause}, {kept}; download the file first")
            raise UserError(f"{self.name}: breaks off {kept}; it is damaged or cut")
        self.end = min(max(self._duration, self.time), self.time + MAX_GAP)

    def copy_rate(self) -> float:
        """Frames/s of a copy of constant rate that has every frame, as far as FINE_RATE allows.

        OpenCV states the mean rate of a file whose frames come at different distances; where that is too low, this is
        the rate of the two frames that follow each other fastest. Reads the times of a file without decoding it.
        """
        if not self._file:
            return self.rate
        packets = cv2.VideoCapture(self._opened, cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
        times = []
        while packets.grab():
            times.append(packets.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        packets.release()
        times = np.unique(np.array(times)[np.isfinite(times)])
        if len(times) < 2 or np.diff(np.round((times - times[0]) * self.rate)).all():
            return self.rate
        return max(min(math.ceil(100 / np.diff(times).min() - 0.01) / 100, FINE_RATE), self.rate)

    def _open(self) -> cv2.VideoCapture:
        if self._remote:
            limit = int(1000 * STALL)
            return self._wait(lambda: cv2.VideoCapture(self._opened, cv2.CAP_FFMPEG, [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]))
        capture = self._wait(lambda: cv2.VideoCapture(self._opened))
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)    # of cameras: the newest frame, though detection is slower
        return capture

    def _open_again(self, cause: str, tries: int, count: int) -> int:
        """Opens the stream again -> the tries so far; StreamLost where none is left."""
        self._wait(self._capture.release)
        while tries < self._reconnect:
            pause = min(BACK_OFF[0] * 2 ** tries, BACK_OFF[1])
            tries += 1
            self._report(f"{self.name}: {cause}; opening it again in {pause:.0f} s, try {tries} of {self._reconnect}")
            time.sleep(pause)
            self._capture = self._open()
            if self._capture.isOpened():
                return tries
            cause = "does not open"
        raise StreamLost(f"{self.name}: {cause}; the results of its {count} frames are kept; " + (
            "--reconnect N opens a stream again" if not self._reconnect else
            f"opening it again did not help {self._reconnect} times in a row; see whether its source runs"))

    def _wait(self, call: Callable[[], Result]) -> Result:
        """call(), of a stream in a thread of its own: where OpenCV waits for frames, Ctrl-C would not end it."""
        if not self._slow:
            return call()
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
        threading.Thread(target=run, daemon=True).start()
        self._waiting = True
        result = future.result()
        self._waiting = False
        return result

    def _set_time(self, first: bool, gap: float) -> None:
        """Presentation time of the frame just read, or of its arrival from a camera; of the first frame of a stream
        that was opened again, `gap` s after the last one. A time that does not follow the last one is replaced by the
        nominal one; from the second in a row on, the times are shifted to continue."""
        raw = time.monotonic() if self._arrives else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        raw = raw if math.isfinite(raw) else 0.0
        if first:
            self._shift = -raw
            return
        if gap:
            self.time += gap
            self._shift = self.time - raw
            return
        nominal, last = self.time + 1 / self.rate, self.time
        self.time = raw + self._shift
        if 0 < self.time - last <= MAX_GAP:
            self._broken = False
            return
        if self._broken:
            self._shift = nominal - raw
        self.time, self._broken = nominal, True


def _is_whole_matroska(path: str) -> bool:
    """Whether this is an .mkv or .webm file that has all the bytes that it announces: then its last frame lasts until
    its end, or its sound is longer. Source: RFC 8794 and 9559: after a header the ID of the Segment, and its size,
    whose first byte has as many leading zeros as bytes follow."""
    with open(path, "rb") as file:
        head = file.read(4096)
    place = head.find(b"\x18\x53\x80\x67") + 4
    if not head.startswith(b"\x1a\x45\xdf\xa3") or not 4 <= place < len(head) or not head[place]:
        return False
    length = 9 - head[place].bit_length()
    size = int.from_bytes(head[place:place + length], "big") & ((1 << 7 * length) - 1)
    return place + length + size <= os.path.getsize(path)
