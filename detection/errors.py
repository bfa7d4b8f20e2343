"""The one kind of error that a user can correct, and how a script reports it."""
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn, TypeVar

Result = TypeVar("Result")


class UserError(Exception):
    """What went wrong, in one plain sentence that names the file, the cause and what to do.

    Scripts print it without a traceback and exit with code 2.
    """


def run_main(main: Callable[..., Result], *args: object,
             stopped: str = "stopped; the same command continues from here") -> Result:
    """Runs main(*args) and returns its result. A UserError or an OSError becomes one line and exit code 2, Ctrl-C the
    line `stopped` and exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")       # names of files need not be valid in any encoding
    try:
        return main(*args)
    except UserError as error:
        _exit(2, f"error: {error}")
    except OSError as error:
        place = error.filename or "the disk"
        _exit(2, f"error: {place}: {error.strerror or error}; make room or change the permissions, then run this again")
    except KeyboardInterrupt:
        _exit(130, f"\n{stopped}")


def _exit(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)
