"""Where pictures come from: files, folders, patterns, videos, cameras and streams."""
import glob
import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from detection.errors import UserError
from detection.images import EXTENSIONS

VIDEO_EXTENSIONS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"}
RATE = 25.0              # frames/s, where a source does not tell its own
MISSING_SHARE = 0.02     # of the announced frames; containers that only estimate their number miss by less

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")                    # quiet: what fails is said here, in one line
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class Source:
    """One picture or video. where: its path, address or camera number; relative: its place below what was named,
    unique among all; label: the same without its extension where that is unique too; kind: "picture" or "video"."""
    where: object
    relative: Path
    label: Path
    kind: str


def find(names, output=None):
    """Files, folders, patterns (* ? [] **), addresses -> (their Sources in order, each file once; number left out).

    Folders are walked with all that is below, but for the folder `output` in them, which holds earlier results: its
    files are left out. UserError for what is not there.
    """
    found, left_out = {}, set()                        # resolved path or address -> (path, relative, kind)
    output = output and Path(output).resolve()
    for name in map(str, names):
        if "://" in name:
            found.setdefault(name, (name, video(name).relative, "video"))
            continue
        root, files = _expand(name)
        for path in files:
            resolved = path.resolve()
            if output in resolved.parents and output not in [root.resolve(), *root.resolve().parents]:
                left_out.add(resolved)
                continue
            kind = "video" if path.suffix.lower() in VIDEO_EXTENSIONS else "picture"
            found.setdefault(resolved, (path, path.relative_to(root), kind))
    if not found:
        raise UserError(f"{', '.join(map(str, names))}: no picture or video there; known are "
                        f"{', '.join(sorted(EXTENSIONS | VIDEO_EXTENSIONS))}")
    sources = [Source(where, relative, relative.with_suffix(""), kind) for where, relative, kind in found.values()]
    return _unique(sources), len(left_out - found.keys())


def _expand(name):
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


def _known(path):
    return path.suffix.lower() in EXTENSIONS | VIDEO_EXTENSIONS and path.is_file()


def _unique(sources):
    """Sources of the same relative path get longer ones, from their common folder on; of the same label, the path."""
    def twins(key):
        groups = {}
        for source in sources:
            groups.setdefault(str(key(source)), []).append(source)
        return [group for group in groups.values() if len(group) > 1]
    for group in twins(lambda s: s.relative):
        full = [Path(s.where).resolve() for s in group]
        common = os.path.commonpath([p.parent for p in full])
        longer = dict(zip(group, (p.relative_to(common) for p in full)))
        sources = [replace(s, relative=longer[s], label=longer[s].with_suffix("")) if s in longer else s
                   for s in sources]
    same = {s for group in twins(lambda s: s.label) for s in group}
    return [replace(s, label=s.relative) if s in same else s for s in sources]


def video(name):
    """A video file, or the address of a stream -> its Source; UserError where there is no such file."""
    if "://" not in name and not Path(name).is_file():
        raise UserError(f"{name}: no such file")
    last = "".join(c if c.isalnum() or c in ".-_ " else "_" for c in name.rstrip("/").rsplit("/")[-1]) \
        if "://" in name else Path(name).name
    return Source(name, Path(last), Path(last).with_suffix(""), "video")


def camera(number):
    """Camera number -> its Source, named by the camera and the time, so that no recording replaces another."""
    name = Path(f"camera{number}-{time.strftime('%Y%m%d-%H%M%S')}")
    return Source(number, name, name, "video")


class Video:
    """An open video, camera or stream. rate: frames/s; announced: how many frames it promises, 0 where it does not."""

    def __init__(self, source: Source):
        self.name = f"camera {source.where}" if isinstance(source.where, int) else str(source.where)
        self._capture = cv2.VideoCapture(source.where if isinstance(source.where, int) else str(source.where))
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)    # of cameras: the newest picture, though detection is slower
        if not self._capture.isOpened():
            raise UserError(f"{self.name}: " + (
                "there is no such camera, or another program uses it; try --camera with another number"
                if isinstance(source.where, int) else
                "does not open as a video; the address is wrong or out of reach" if "://" in self.name else
                "does not open as a video; it is damaged, cut, or of a codec that OpenCV does not have"))
        rate, announced = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else RATE
        self.announced = int(announced) if math.isfinite(announced) and 0 < announced < 1e9 else 0

    def frames(self):
        """Yields uint8 (H, W, 3) in order; UserError at its end where it has given (far) fewer than announced."""
        count = 0
        try:
            while True:
                ok, frame = self._capture.read()
                if not ok:
                    break
                count += 1
                yield frame
        finally:
            self._capture.release()
        if not count:
            raise UserError(f"{self.name}: not one frame can be read; it is empty, damaged, or of a codec that "
                            "OpenCV does not have")
        if self.announced - count > max(1, MISSING_SHARE * self.announced):
            raise UserError(f"{self.name}: breaks off after {count} of {self.announced} frames; it is damaged or cut, "
                            "what could be read is kept")
