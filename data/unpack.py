"""Unpacks a zip archive from elsewhere, trusting nothing in it. Standard library alone."""
import errno
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from transfer import CHUNK, Problem

MAX_GROWTH = 20          # unpacked bytes a packed byte: images hardly shrink, lists of numbers to about a fourth
MAX_FILES = 200_000      # in one archive


class Damaged(Problem):
    """An archive that does not come apart into what was packed."""


def unpack(archive, out, wanted):
    """Unpacks what lies in the folders or is one of the files `wanted`, wherever in the zip, to `out`/<wanted>/...

    Returns (files there, files of the archive left out). Problem, before anything is written, for an archive with
    a name that leads elsewhere, a link, or far more bytes than a set of images unpacks to.
    """
    out = Path(out).resolve()
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = _entries(archive, zipped, wanted)
            targets = [(info, out.joinpath(*parts)) for info, parts in entries if parts]
            for folder in {target.parent for _, target in targets}:
                if folder.resolve() != folder:
                    raise Problem(f"{folder}: is or lies behind a link, and nothing is written through links; remove "
                                  "the link, or name another folder with --out")
            for info, target in targets:
                _extract(zipped, info, target)
    except (zipfile.BadZipFile, EOFError, LookupError, RuntimeError, ValueError, struct.error, zlib.error) as error:
        raise Damaged(f"{archive}: is damaged ({error})") from None
    except OSError as error:
        if error.errno != errno.EINVAL:       # it points to before its own beginning
            raise
        raise Damaged(f"{archive}: is damaged ({error.strerror})") from None
    return len(targets), len(entries) - len(targets)


def _entries(archive, zipped, wanted):
    """The files of a zip -> [(entry, parts of its path from the wanted name on, or None)], all of them harmless."""
    entries = [info for info in zipped.infolist() if not info.is_dir()]
    size = sum(info.file_size for info in entries)
    if len(entries) > MAX_FILES or size > MAX_GROWTH * os.path.getsize(archive) + CHUNK:
        raise Problem(f"{archive}: would unpack to {len(entries):,} files of {size:,} bytes, which is no set of "
                      "images; nothing was unpacked, remove it")
    found = []
    for info in entries:
        parts = info.filename.replace("\\", "/").split("/")
        if ".." in parts or "" in parts or ":" in info.filename or "\0" in info.filename:
            raise Problem(f"{archive}: holds the name {info.filename}, which leads out of the folder; nothing was "
                          "unpacked, remove it")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Problem(f"{archive}: holds the link {info.filename}; nothing was unpacked, remove it")
        start = next((i for i, part in enumerate(parts) if part in wanted), None)
        found.append((info, None if start is None else parts[start:]))
    return found


def _extract(zipped, info, target):
    """Writes one file under a temporary name, then renames it; one of the right size is there already."""
    if target.is_file() and target.stat().st_size == info.file_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".part")
    try:
        with zipped.open(info) as source, open(temporary, "wb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
