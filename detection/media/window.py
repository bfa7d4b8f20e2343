"""A window for live video, where there is a display."""
import os
import subprocess
import sys
import time

import cv2

from detection.types import Image

TITLE = "faces - q: leave, s: save"
QUIT, SAVE = "quit", "save"
PROBE = "import cv2; cv2.namedWindow('probe')"

os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")   # opencv-python's Qt misses fonts that are not used


def available() -> bool:
    """Whether OpenCV can open a window here.

    Without a display OpenCV ends the whole process instead of raising an error, so another process tries first.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False).returncode == 0


class Window:
    """Shows at most `rate` images per second; use it in a `with`."""

    def __init__(self, rate: float):
        self._period, self._due = 1 / rate, time.monotonic()

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
        cv2.destroyAllWindows()

    def write(self, image: Image, _time: float | None = None) -> str | None:
        """uint8 (H, W, 3) -> QUIT after q, Esc or a closed window, SAVE after s, else None."""
        cv2.imshow(TITLE, image)
        wait = self._due - time.monotonic()
        key = cv2.waitKey(max(int(wait * 1000), 1)) & 0xFF
        self._due = max(self._due, time.monotonic() - self._period) + self._period
        if key in (ord("q"), 27) or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return QUIT
        return SAVE if key == ord("s") else None
