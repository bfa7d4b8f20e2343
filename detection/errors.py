"""The one kind of error that a user can mend, and how a script tells it."""
import sys


class UserError(Exception):
    """What went wrong, in one plain sentence that names the file, the cause and the way out.

    Scripts print it without a traceback and exit with code 2.
    """


def run_main(main, *args, stopped="stopped; the same command goes on from here"):
    """Runs main(*args) and returns what it returns; what the user can mend, or a full disk, becomes one line and exit
    code 2, Ctrl-C the line `stopped` and exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")       # names of files need not be in any encoding
    try:
        return main(*args)
    except UserError as error:
        _exit(2, f"error: {error}")
    except OSError as error:
        place = error.filename or "the disk"
        _exit(2, f"error: {place}: {error.strerror or error}; make room or mend the permissions, then run this again")
    except KeyboardInterrupt:
        _exit(130, f"\n{stopped}")


def _exit(code, message):
    print(message, file=sys.stderr)
    sys.exit(code)
