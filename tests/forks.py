"""A process that loads packages once and becomes each script that it is asked to run, in a fork of its own.

    python tests/forks.py PACKAGE ...      requests on standard input, process ids and wait statuses on standard output

A script finds what `python SCRIPT ARGUMENTS` gives it: arguments, folder, environment, exit code, what it prints, its
own workers. Only the packages are loaded already, which otherwise takes most of a short run. Nothing of the project is
loaded before the fork.
"""
import contextlib
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading


class Forks:
    """The process from outside."""

    def __init__(self, *packages):
        self.process = subprocess.Popen([sys.executable, __file__, *packages], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def run(self, arguments, cwd, out, timeout):
        """Runs a script with arguments in the folder cwd, its output to the files out and out.err; its exit code."""
        self.process.stdin.write(json.dumps([[str(a) for a in arguments], str(cwd), str(out), dict(os.environ)]) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        late = threading.Timer(timeout, kill, [pid])
        late.start()
        status = int(self.process.stdout.readline())
        late.cancel()
        return os.waitstatus_to_exitcode(status)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def kill(pid):
    """The script and its workers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def serve():
    """Forks for each request; returns it in the fork, and None at the end."""
    for request in sys.stdin:
        if not (pid := os.fork()):
            return json.loads(request)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


def become(arguments, cwd, out, environment):
    """Runs the script arguments[0] as Python does."""
    os.setsid()
    for number, (path, mode) in enumerate(((os.devnull, os.O_RDONLY), (out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                                           (f"{out}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))):
        os.dup2(os.open(path, mode, 0o600), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = arguments, os.path.dirname(arguments[0])
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    for package in sys.argv[1:]:
        importlib.import_module(package)
    request = serve()
    if request:
        become(*request)
