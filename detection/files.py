"""Files that are written whole or not at all."""
import os
import platform
from contextlib import contextmanager
from pathlib import Path

from detection.errors import UserError

OWN = f"{platform.node()}-{os.getpid()}"      # two processes, on two machines even, share no temporary name


@contextmanager
def atomic_write(path):
    """Yields a temporary path beside `path` to write to; it takes the place of `path` when the block ends well.

    The bytes are on the disk before the name is, so that not even a power cut leaves half a file. Makes the folder.
    UserError where the disk is full or refuses.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{OWN}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); make room or mend the permissions, "
                        "then run this again") from None
