"""Keeps what libraries say from C++, below sys.stderr, off the screen."""
import contextlib
import os
import sys


@contextlib.contextmanager
def quiet():
    """Nothing goes to stderr meanwhile; errors are raised all the same."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
