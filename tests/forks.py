"""A process that loads packages once and becomes each script that it is asked to run, in a fork of its own.

    python tests/forks.py PACKAGE ...      requests on standard input, who started and who ended how on standard output

A script finds what `python SCRIPT ARGUMENTS` gives it: arguments, folder, environment, exit code, what it prints, a
session and workers of its own. Only the packages are loaded already, which otherwise takes most of a short run. Nothing
of the project is loaded before the fork.
"""
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

MESSAGE = 4096      # bytes read at once; no message is longer, as a pipe passes so many in one piece


class Forks:
    """The process from outside. before: words of a command that runs it, as `nsenter`."""

    def __init__(self, *packages, before=()):
        self.process = subprocess.Popen([*before, sys.executable, __file__, *packages], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0)
        self.unread, self.statuses = b"", {}

    def start(self, arguments, cwd, out, environment=os.environ):
        """Starts a script with arguments in the folder cwd, its output to the files out and out.err -> Fork."""
        request = [[str(a) for a in arguments], str(cwd), str(out), dict(environment)]
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        while "started" not in self.statuses:
            self.read(None)
        return Fork(self, self.statuses.pop("started"), Path(out))

    def run(self, arguments, cwd, out, timeout):
        """start(), to the end -> Fork. Past the timeout, in seconds, it is killed with its workers."""
        fork = self.start(arguments, cwd, out)
        try:
            fork.wait(timeout)
        except subprocess.TimeoutExpired:
            fork.kill()
        return fork

    def read(self, seconds):
        """Takes in what the process says within so many seconds."""
        if select.select([self.process.stdout], [], [], seconds)[0]:
            news = os.read(self.process.stdout.fileno(), MESSAGE)
            assert news, "the process that forks has ended"
            *lines, self.unread = (self.unread + news).split(b"\n")
            for line in lines:
                key, value = line.decode().split()
                self.statuses[int(key) if key.isdecimal() else key] = int(value)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Fork:
    """A script that runs, with what subprocess.Popen has of this: pid, returncode, poll, wait; and its text so far."""

    def __init__(self, forks, pid, out):
        self.forks, self.pid, self.returncode, self.out = forks, pid, None, out

    @property
    def stdout(self):
        return self.out.read_text(errors="replace")

    @property
    def stderr(self):
        return self.out.with_name(f"{self.out.name}.err").read_text(errors="replace")

    def poll(self, seconds=0):
        """The exit code, None while the script runs."""
        if self.returncode is None:
            if self.pid not in self.forks.statuses:
                self.forks.read(seconds)
            if self.pid in self.forks.statuses:
                self.returncode = os.waitstatus_to_exitcode(self.forks.statuses.pop(self.pid))
        return self.returncode

    def wait(self, timeout=None):
        """The exit code when the script has ended; subprocess.TimeoutExpired after so many seconds."""
        end = time.monotonic() + timeout if timeout is not None else None
        while self.poll(None if end is None else max(end - time.monotonic(), 0)) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}, which printed {self.stderr[-2000:]!r}", timeout)
        return self.returncode

    def kill(self):
        """SIGKILL to it and its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


def serve():
    """Forks for each request; returns it in the fork, and None at the end. Says which script ended how."""
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([sys.stdin, waking], [], [])[0]
        if waking in ready:
            os.read(waking, MESSAGE)
            with contextlib.suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    print(*ended, flush=True)
        if sys.stdin in ready:
            request = sys.stdin.readline()      # one at a time: the next one comes after the answer
            if not request or not os.fork():
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return json.loads(request) if request else None


def become(arguments, cwd, out, environment):
    """Runs the script arguments[0] as Python does; with `-c` for it, the program arguments[1]."""
    os.setsid()
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    inputs, *outputs = os.open(os.devnull, os.O_RDONLY), os.open(out, new, 0o600), os.open(f"{out}.err", new, 0o600)
    print("started", os.getpid(), flush=True)
    for number, file in enumerate((inputs, *outputs)):
        os.dup2(file, number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    if arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        exec(compile(arguments[1], "<string>", "exec"), sys.modules["__main__"].__dict__)
        return
    arguments[0] = os.path.abspath(arguments[0])
    sys.argv, sys.path[0] = arguments, os.path.dirname(arguments[0])
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    for package in sys.argv[1:]:
        importlib.import_module(package)
    request = serve()
    if request:
        become(*request)
