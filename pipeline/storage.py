"""Places of files: a local path, or an address such as gs://bucket/folder, which TensorFlow's tf.io.gfile opens.

Local files need no TensorFlow and no more than the standard library's calls.
"""
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from detection import files as local

Place = Path | str
AT_ONCE = 64      # requests to a remote store that wait for their answers at the same time


def is_address(place: Place) -> bool:
    """Whether this is an address and not a local path."""
    return "://" in str(place)


def join(folder: Place, name: Place) -> Place:
    """Folder and a name below it -> Path, or address; a name that is an address or an absolute path stays as it is."""
    if is_address(name):
        return name
    return f"{str(folder).rstrip('/')}/{name}" if is_address(folder) else Path(folder) / name


def absolute(place: Place) -> Place:
    """A local path made absolute; an address unchanged."""
    return place if is_address(place) else Path(place).absolute()


def size(place: Place) -> int | None:
    """Bytes of a file; None where there is no file."""
    if not is_address(place):
        return Path(place).stat().st_size if Path(place).exists() else None
    from detection.quiet_tensorflow import tf
    return tf.io.gfile.stat(place).length if tf.io.gfile.exists(place) else None


def changed(folder: Place, sizes: Mapping[str, int | None]) -> list[str]:
    """Name below `folder`, or address -> bytes that it had; returns the names of missing files and of other sizes."""
    wanted = [join(folder, name) for name in sizes]
    if any(map(is_address, wanted)):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(size, wanted))
    else:
        found = map(size, wanted)
    return [name for (name, expected), length in zip(sizes.items(), found) if length != expected]


def remove(place: Place) -> None:
    """Removes a file, if it exists."""
    if not is_address(place):
        Path(place).unlink(missing_ok=True)
        return
    from detection.quiet_tensorflow import tf
    if tf.io.gfile.exists(place):
        tf.io.gfile.remove(place)


@contextmanager
def open_write(place: Place) -> Iterator[BinaryIO]:
    """A file to write bytes to, at a local path or an address. OSError where that fails."""
    if not is_address(place):
        with open(place, "wb") as file:
            yield file
        return
    from detection.quiet_tensorflow import tf
    try:
        with tf.io.gfile.GFile(place, "wb") as file:
            file.write(b"")      # without a write there would be no file
            yield file
    except tf.errors.OpError as error:
        raise OSError(error.message) from None


@contextmanager
def atomic_write(place: Place) -> Iterator[Place]:
    """As detection.files.atomic_write, for addresses too.

    Yields a temporary name that becomes `place` when the block ends without an error.
    """
    if not is_address(place):
        with local.atomic_write(place) as temporary:
            yield temporary
        return
    from detection.quiet_tensorflow import tf
    temporary = f"{place}.{local.OWN}.tmp"
    tf.io.gfile.makedirs(place.rsplit("/", 1)[0])
    yield temporary
    tf.io.gfile.rename(temporary, place, overwrite=True)
