"""Sources of images: files, folders, patterns, videos, cameras and streams."""
import glob
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from detection.errors import UserError
from detection.files import is_junk, walk
from detection.images import EXTENSIONS, FOREIGN

VIDEO_EXTENSIONS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts",
                    ".3gp", ".3g2", ".asf", ".m2ts", ".mts", ".ogv", ".vob"}


@dataclass(frozen=True)
class Source:
    """One image or video. where: its path, address or camera number; relative: its path below the folder that was
    named, unique among all; label: the same without its extension if that is unique too; kind: "image" or "video"."""
    where: Path | str | int
    relative: Path
    label: Path
    kind: str


def find(names: Iterable[Path | str], output: Path | str | None = None) -> tuple[list[Source], list[str]]:
    """Files, folders, patterns (* ? [] **), addresses -> (their Sources in order, each file once; what was left out,
    one sentence for each kind).

    Folders are searched recursively. The files of the folder `output` in them are left out: they are results of earlier
    runs; so are images that OpenCV does not decode. UserError for a name at which there is nothing.
    """
    found, earlier, foreign = {}, set(), {}            # resolved path or address -> (path, relative, kind); extension
    results = Path(output).resolve() if output else None
    for name in map(str, names):
        if "://" in name:
            found.setdefault(name, (name, video(name).relative, "video"))
            continue
        root, files = _expand(name)
        for path in files:
            relative, extension = path.relative_to(root), path.suffix.lower()
            if path != Path(name) and (is_junk(relative) or extension not in EXTENSIONS | VIDEO_EXTENSIONS | FOREIGN):
                continue
            resolved = path.resolve()
            if path != Path(name) and extension in FOREIGN:
                foreign[resolved] = extension
                continue
            if results in resolved.parents and results not in [root.resolve(), *root.resolve().parents]:
                earlier.add(resolved)
                continue
            kind = "video" if extension in VIDEO_EXTENSIONS or path.is_fifo() else "image"
            found.setdefault(resolved, (path, relative, kind))
    earlier -= found.keys()
    counts = Counter(extension for path, extension in foreign.items() if path not in found)
    left_out = [f"left out, as results of earlier runs: {len(earlier)} in {output}"] * bool(earlier) + [
        f"left out: {count} {extension} file{'s' * (count > 1)}, which OpenCV does not read; convert them to JPEG"
        for extension, count in counts.items()]
    if not found:
        raise UserError(f"{', '.join(map(str, names))}: no image or video there; " + (
            "; ".join(left_out) or f"known extensions are {', '.join(sorted(EXTENSIONS | VIDEO_EXTENSIONS))}"))
    sources = [Source(where, relative, relative.with_suffix(""), kind) for where, relative, kind in found.values()]
    return _unique(sources), left_out


def _expand(name: str) -> tuple[Path, list[Path]]:
    """A file, folder or pattern -> (the folder it starts from, all files there, sorted)."""
    path = Path(name)
    if path.is_file() or path.is_fifo():
        return path.parent, [path]
    if path.is_dir():
        return path, walk(path)
    if not glob.has_magic(name):
        raise UserError(f"{name}: no such file or folder")
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    if not matches:
        raise UserError(f"{name}: no file matches this pattern")
    fixed = Path(*path.parts[:next(i for i, part in enumerate(path.parts) if glob.has_magic(part))])
    return fixed, [p for match in matches for p in (walk(match) if match.is_dir() else [match] * match.is_file())]


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
    while same := {s for group in duplicates(lambda s: s.label) for s in group if s.label != s.relative}:
        sources = [replace(s, label=s.relative) if s in same else s for s in sources]
    return sources


def is_stream(name: str) -> bool:
    """Whether this is an address, and not that of a file."""
    return "://" in name and not name.startswith("file:")


def video(name: str | Path) -> Source:
    """A video file, a pipe, or the address of a stream -> its Source; UserError where there is no such file."""
    name = str(name)
    if "://" not in name and not (Path(name).is_file() or Path(name).is_fifo()):
        raise UserError(f"{name}: no such file")
    last = "".join(c if c.isalnum() or c in ".-_ " else "_" for c in name.rstrip("/").rsplit("/")[-1]) \
        if "://" in name else Path(name).name
    return Source(name, Path(last), Path(last).with_suffix(""), "video")


def camera(number: int) -> Source:
    """Camera number -> its Source, named after the camera and the time, so that no recording replaces another."""
    name = Path(f"camera{number}-{time.strftime('%Y%m%d-%H%M%S')}")
    return Source(number, name, name, "video")
