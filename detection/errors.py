"""The one kind of error that a user can correct, and how a script reports it."""
import _thread
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from typing import TypeVar

Result = TypeVar("Result")


class UserError(Exception):
    """What went wrong, in one plain sentence that names the file, the cause and what to do.

    Scripts print it without a traceback and exit with code 2.
    """


class UserNote(UserWarning):
    """What a user should know of a file that is used all the same; scripts print it as one line."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as from `kill`, `docker stop`, systemd and Slurm."""


def run_main(main: Callable[..., Result], *args: object,
             stopped: str = "stopped; the same command continues from here") -> Result:
    """Runs main(*args) and returns its result. A UserError or an OSError becomes one line and exit code 2, Ctrl-C the
    line `stopped` and exit code 130; SIGTERM does the same with 143. Where whoever reads the output leaves, as `| head`
    does, nothing is said and the code is 141, that of SIGPIPE."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")       # names of files need not be valid in any encoding
    plain = warnings.formatwarning
    warnings.formatwarning = lambda message, category, *place: (
        f"warning: {message}\n" if category is UserNote else plain(message, category, *place))
    before, hook = _raise_on_sigterm(), sys.unraisablehook
    sys.unraisablehook = _raise_ignored_again(hook)
    try:
        result = main(*args)
        print(end="", flush=True)                               # the interpreter's own flush would say a failure
        return result
    except UserError as error:
        code, message = 2, f"error: {error}"
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_left():
            sys.exit(141)
        place = error.filename or "the disk"
        code, message = 2, f"error: {place}: {error.strerror or error}; make room or change the permissions, then " \
                           "run this again"
    except KeyboardInterrupt as error:
        code, message = 143 if isinstance(error, Terminated) else 130, f"\n{stopped}"
    finally:
        warnings.formatwarning, sys.unraisablehook = plain, hook
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    print(message, file=sys.stderr)
    sys.exit(code)      # here, where nothing holds the traceback: its objects end before the interpreter does


def _reader_left() -> bool:
    """Whether nobody reads stdout any more; what is still written there then goes nowhere."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


class HeldInterruptions:
    """`with HeldInterruptions() as held:` Ctrl-C and SIGTERM wait for the next held.release(), or for the end.

    Code that calls Python functions from another language may crash or never return where one of them raises, as
    TensorFlow does when a training is interrupted while it traces. A second interruption does not wait.
    """

    def __init__(self):
        self.waiting, self.handlers = None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():       # no other thread may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(handler := signal.getsignal(number)):       # else it is ignored, or ends the process
                    self.handlers[number] = handler
                    signal.signal(number, self._hold)
        return self

    def _hold(self, number, _):
        self.release()
        self.waiting = number

    def release(self) -> None:
        """Raises what has waited."""
        if self.waiting is not None:
            number, self.waiting = self.waiting, None
            self.handlers[number](number, None)

    def __exit__(self, *error):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        if error == (None, None, None):
            self.release()


def _raise_on_sigterm():
    """Makes SIGTERM raise Terminated in this process; returns the handler before it, None where nothing was changed.

    Where the program has a handler of its own, or runs this outside its main thread, it is left alone. Workers that are
    forked from here end at once, as pools of processes expect it.
    """
    if threading.current_thread() is not threading.main_thread() or \
            signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return None
    own = os.getpid()

    def terminate(number, _):
        if os.getpid() == own:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return signal.signal(signal.SIGTERM, terminate)


def _raise_ignored_again(hook):
    """The hook for errors that Python ignores, as those in a destructor: it sends Ctrl-C and SIGTERM once more, as
    otherwise nothing would end the program, and leaves the rest to the hook before it."""
    main = threading.main_thread().ident

    def send(number):
        if main and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main, number)
        else:
            _thread.interrupt_main(number)

    def ignored(error):
        if issubclass(error.exc_type, KeyboardInterrupt):
            number = signal.SIGTERM if issubclass(error.exc_type, Terminated) else signal.SIGINT
            threading.Timer(0.05, send, (number,)).start()      # s: not at once, which would be in the destructor again
        else:
            hook(error)
    return ignored
