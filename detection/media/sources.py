"""Sources of images: files, folders, patterns, videos, cameras and streams."""
import glob
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from detection.errors import UserError
from detection.images import EXTENSIONS
from detection.types import Image

VIDEO_EXTENSIONS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts",
                    ".3gp", ".3g2", ".asf", ".m2ts", ".mts", ".ogv", ".vob"}
RATE = 25.0              # frames/s, where a source does not state its own
MAX_RATE = 240.0         # frames/s: a higher one is the unit of the times in a container, not a rate
FINE_RATE = 60.0         # frames/s, in place of such a unit
MAX_GAP = 600.0          # s between two frames: a longer one is a broken time
MISSING_SHARE = 0.02     # of the announced frames; containers that estimate their number are wrong by less

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")                    # quiet: errors are reported here, in one line
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class Source:
    """One image or video. where: its path, address or camera number; relative: its path below the folder that was
    named, unique among all; label: the same without its extension if that is unique too; kind: "image" or "video"."""
    where: Path | str | int
    relative: Path
    label: Path
    kind: str


def find(names: Iterable[Path | str], output: Path | str | None = None) -> tuple[list[Source], int]:
    """Files, folders, patterns (* ? [] **), addresses -> (their Sources in order, each file once; number left out).

    Folders are searched recursively. The files of the folder `output` in them are left out: they are results of earlier
    runs. UserError for a name at which there is nothing.
    """
    found, left_out = {}, set()                        # resolved path or address -> (path, relative, kind)
    results = Path(output).resolve() if output else None
    for name in map(str, names):
        if "://" in name:
            found.setdefault(name, (name, video(name).relative, "video"))
            continue
        root, files = _expand(name)
        for path in files:
            resolved = path.resolve()
            if results in resolved.parents and results not in [root.resolve(), *root.resolve().parents]:
                left_out.add(resolved)
                continue
            kind = "video" if path.suffix.lower() in VIDEO_EXTENSIONS else "image"
            found.setdefault(resolved, (path, path.relative_to(root), kind))
    if not found:
        raise UserError(f"{', '.join(map(str, names))}: no image or video there; known extensions are "
                        f"{', '.join(sorted(EXTENSIONS | VIDEO_EXTENSIONS))}")
    sources = [Source(where, relative, relative.with_suffix(""), kind) for where, relative, kind in found.values()]
    return _unique(sources), len(left_out - found.keys())


def _expand(name: str) -> tuple[Path, list[Path]]:
    """A file, folder or pattern -> (the folder it starts from, sorted files)."""
    path = Path(name)
    if path.is_file():
        return path.parent, [path]
    if path.is_dir():
        return path, sorted(filter(_known, path.rglob("*")))
    if not glob.has_magic(name):
        raise UserError(f"{name}: no such file or folder")
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    if not matches:
        raise UserError(f"{name}: no file matches this pattern")
    fixed = Path(*path.parts[:next(i for i, part in enumerate(path.parts) if glob.has_magic(part))])
    files = [p for match in matches for p in (sorted(match.rglob("*")) if match.is_dir() else [match])]
    return fixed, list(filter(_known, files))


def _known(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS | VIDEO_EXTENSIONS and path.is_file()


def _unique(sources: list[Source]) -> list[Source]:
    """Sources of the same relative path get longer ones, from their common folder on; sources of the same label get
    their relative path as label."""
    def duplicates(key: Callable[[Source], Path]) -> list[list[Source]]:
        groups: dict[str, list[Source]] = {}
        for source in sources:
            groups.setdefault(str(key(source)), []).append(source)
        return [group for group in groups.values() if len(group) > 1]
    for group in duplicates(lambda s: s.relative):
        full = [Path(str(s.where)).resolve() for s in group]
        common = os.path.commonpath([p.parent for p in full])
        longer = dict(zip(group, (p.relative_to(common) for p in full)))
        sources = [replace(s, relative=longer[s], label=longer[s].with_suffix("")) if s in longer else s
                   for s in sources]
    same = {s for group in duplicates(lambda s: s.label) for s in group}
    return [replace(s, label=s.relative) if s in same else s for s in sources]


def video(name: str | Path) -> Source:
    """A video file, or the address of a stream -> its Source; UserError where there is no such file."""
    name = str(name)
    if "://" not in name and not Path(name).is_file():
        raise UserError(f"{name}: no such file")
    last = "".join(c if c.isalnum() or c in ".-_ " else "_" for c in name.rstrip("/").rsplit("/")[-1]) \
        if "://" in name else Path(name).name
    return Source(name, Path(last), Path(last).with_suffix(""), "video")


def camera(number: int) -> Source:
    """Camera number -> its Source, named after the camera and the time, so that no recording replaces another."""
    name = Path(f"camera{number}-{time.strftime('%Y%m%d-%H%M%S')}")
    return Source(number, name, name, "video")


class Video:
    """An open video, camera or stream. rate: frames/s, nominal; announced: the number of frames that it announces, 0 if
    unknown, an estimate in many containers; time: s, when the frame that was read last is shown, the first one at 0.
    UserError where it does not open."""

    def __init__(self, source: Source):
        self.name = f"camera {source.where}" if isinstance(source.where, int) else str(source.where)
        self._capture = cv2.VideoCapture(source.where if isinstance(source.where, int) else str(source.where))
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)    # of cameras: the newest frame, though detection is slower
        if not self._capture.isOpened():
            raise UserError(f"{self.name}: " + (
                "there is no such camera, or another program uses it; try --camera with another number"
                if isinstance(source.where, int) else
                "does not open as a video; the address is wrong or out of reach" if "://" in self.name else
                "does not open as a video; it is damaged, cut, or of a codec that OpenCV does not have"))
        rate, announced = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        known = math.isfinite(rate) and rate > 0
        self.rate = (rate if rate <= MAX_RATE else FINE_RATE) if known else RATE
        self.announced = int(announced) if math.isfinite(announced) and 0 < announced < 1e9 else 0
        self._duration = self.announced / (rate if known else RATE)              # s
        # FFmpeg numbers the frames of Motion JPEG over HTTP at 25 a second, whenever they arrive
        self._arrives = isinstance(source.where, int) or (
            self.name.startswith("http") and not self.announced and
            int(self._capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG"))
        self.time, self._shift, self._broken = 0.0, 0.0, False

    def frames(self) -> Iterator[Image]:
        """Yields uint8 (H, W, 3) in order, with `time` set; then UserError if there was none, or if the video ends
        before the time and the number of frames that it announces."""
        count = 0
        try:
            while True:
                ok, frame = self._capture.read()
                if not ok:
                    break
                self._set_time(first=not count)
                count += 1
                yield frame
        finally:
            self._capture.release()
        if not count:
            raise UserError(f"{self.name}: not one frame can be read; it is empty, damaged, or of a codec that "
                            "OpenCV does not have")
        missing, seconds = self.announced - count, self._duration - (self.time + 1 / self.rate)
        if missing > max(1, MISSING_SHARE * self.announced) and \
                seconds > max(1 / self.rate, MISSING_SHARE * self._duration):
            raise UserError(f"{self.name}: breaks off after {count} of {self.announced} frames; it is damaged or cut; "
                            "the results of these frames are kept")

    def _set_time(self, first: bool) -> None:
        """Presentation time of the frame just read, or of its arrival from a camera. A time that does not follow the
        last one is replaced by the nominal one; from the second in a row on, the times are shifted to continue."""
        raw = time.monotonic() if self._arrives else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        raw = raw if math.isfinite(raw) else 0.0
        if first:
            self._shift = -raw
            return
        nominal, last = self.time + 1 / self.rate, self.time
        self.time = raw + self._shift
        if 0 < self.time - last <= MAX_GAP:
            self._broken = False
            return
        if self._broken:
            self._shift = nominal - raw
        self.time, self._broken = nominal, True
