"""Files that are written whole or not at all."""
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detection.errors import UserError

OWN = f"{platform.node()}-{os.getpid()}"      # in temporary names: differs between processes and between machines


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to; it replaces `path` when the block ends without an error.

    The bytes are on the disk before the name is, so that even a power cut leaves no half file. Makes the folder. A
    device or a pipe, as /dev/stdout, is written to directly. UserError where the file cannot be written.
    """
    given, path = path, Path(os.path.realpath(path))      # of a symbolic link, the file that it leads to is replaced
    temporary = path.with_name(f"{path.name}.{OWN}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file() and not path.is_dir():
            yield path
            return
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{given}: cannot be written ({error.strerror or error}); make room or change the permissions, "
                        "then run this again") from None


def write_bytes(path: Path | str, data: bytes) -> None:
    """Writes a file and the folders above it, as `atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def name_for_opencv(path: Path | str) -> str:
    """The absolute path of a video: FFmpeg takes a relative one such as 12:30.mp4 for the address of a protocol.
    UserError for a name that is not UTF-8, with which OpenCV crashes."""
    name = os.path.abspath(path)
    if name.encode("utf-8", "replace") != os.fsencode(name):
        raise UserError(f"{path}: OpenCV opens no video whose name is not UTF-8; rename it")
    return name


def walk(folder: Path | str) -> list[Path]:
    """All files below a folder, sorted, also in folders that are symbolic links; each real folder is entered once."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = [name for name in sorted(folders) if os.path.realpath(os.path.join(place, name)) not in seen]
        found += [path for path in (Path(place, name) for name in names) if path.is_file()]
    return sorted(found)


def is_junk(path: Path) -> bool:
    """Whether programs leave files of this relative path behind for themselves: .DS_Store, ._x.jpg, Thumbs.db,
    .ipynb_checkpoints/x, x~."""
    name = path.name.lower()
    return any(part.startswith(".") or part in ("__MACOSX", "@eaDir") for part in path.parts) or \
        name in ("thumbs.db", "desktop.ini") or name.endswith(("~", ".bak", ".tmp", ".swp", ".cache"))
