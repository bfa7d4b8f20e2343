"""Suppresses messages that libraries write from C++, below sys.stderr."""
import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_LOCK = threading.RLock()       # two threads that exchange stderr at once could lose it for good


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it, nothing is written to stderr; exceptions are raised as usual."""
    with _LOCK:
        if sys.stderr is not None:              # programs with windows have none
            sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
