"""The names of results, so that none replaces a source or another one."""
import os
import re
from pathlib import Path

import cv2

from detection.media.sources import Source

GRAY = {".pbm", ".pgm"}      # extensions of images without colors


def image_path(path: Path) -> Path:
    """Where an image is written: in the format of the path's extension, or else with .png appended to it."""
    color = path.suffix and path.suffix.lower() not in GRAY and cv2.haveImageWriter(f"x{path.suffix}")
    return path if color else path.with_name(f"{path.name}.png")


def video_path(path: Path, odd: bool) -> Path:
    """Where a video is written, odd: with an odd side. The extension of its format is appended to another one."""
    suffix = ".avi" if odd else ".mp4"
    return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)


def frame_label(source: Source, number: int) -> Path:
    """Relative path, without extension, of results of one frame of a video: the source's label with the number."""
    return source.label.with_name(f"{source.label.name}-{number:06}")


def crop_path(label: Path, number: int) -> Path:
    """Where face `number` of an image or frame is written."""
    return label.with_name(f"{label.name}-{number}.png")


def sheet_path(label: Path) -> Path:
    """Where the --explain sheet of an image is written."""
    return label.with_name(f"{label.name}-explain.png")


def real(path: Path | str) -> str:
    """The absolute path without links."""
    return os.path.realpath(str(path).removeprefix("file://"))


def forms(path: str) -> list[str]:
    """A path, the same with * for the number of a face, and for that of a frame, too, where it has them."""
    face = re.sub(r"-\d+\.png$", "-*.png", path)
    return [path, face, re.sub(r"-\d{6,}-\*\.png$", "-*-*.png", face)]


def written(source: Source, images: Path | None, sheets: Path | None, crops: Path | None) -> list[str]:
    """The paths without links at which results of a source may be written in these folders, None: no such results;
    with * for all numbers, see `forms`."""
    found = []
    if images:
        path = images / source.relative
        found += [video_path(path, odd) for odd in (False, True)] if source.kind == "video" else [image_path(path)]
    if sheets:
        found.append(sheet_path(sheets / source.label))
    places = [real(path) for path in found]
    if crops:
        places.append(forms(real(crops / crop_path(frame_label(source, 0), 1)))[2] if source.kind == "video" else
                      forms(real(crops / crop_path(source.label, 1)))[1])
    return places
