"""Maps a function over tasks with local processes or a Ray cluster. The result does not depend on which."""
import multiprocessing
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2
from tqdm import tqdm

from config import RAY_AHEAD, ROOT
from detection.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")
NOT_CODE = [".git", "/data/*", "!/data/*.py", "/docs", "/graph", "/model", "/output", "/picture", "/tests"]


def run(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int | str, what: str, units: Sequence[int],
        unit: str) -> Iterator[Result]:
    """Yields function(task) for each task, in order, with a progress bar that counts units[i] `unit`s for task i.

    workers: number of local processes, or the address of a Ray cluster, whose nodes see the same folders. function and
    tasks are pickled for other processes: the function stands at the top of a module, or is an object of a class there.
    UserError where a process ends from outside or the cluster cannot be used.
    """
    with _mapped(function, tasks, workers) as results, \
            tqdm(total=sum(units), desc=what, unit=f" {unit}", smoothing=0.1, mininterval=0.5) as bar:
        for done, result in zip(units, results):
            bar.update(done)
            yield result


@contextmanager
def _mapped(function, tasks, workers):
    """An iterator over the results, with the processes that make them."""
    if isinstance(workers, str):
        with _connected(workers) as ray:
            yield _on_cluster(ray, function, tasks)
    elif min(workers, len(tasks)) <= 1:
        yield map(function, tasks)
    else:
        context = multiprocessing.get_context("spawn")     # a fork of a process with threads can hang
        count = min(workers, len(tasks))
        with ProcessPoolExecutor(count, context, _start) as pool:
            with _interrupts_ignored():            # the workers inherit that: this process alone handles Ctrl-C
                results = pool.map(function, tasks)
            try:
                yield results
            except BrokenProcessPool:
                raise UserError("a worker process was ended from outside, perhaps for lack of memory; run this again "
                                f"with --workers {max(count // 2, 1)}: it resumes from here") from None


def _start():
    """Prepares a worker."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """Ends this process when the one that started it dies, even of SIGKILL."""
    multiprocessing.parent_process().join()
    os._exit(1)


@contextmanager
def _interrupts_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _connected(address):
    """Ray, connected to the cluster at `address`. The code of this folder goes along to its nodes."""
    try:
        import ray
    except ImportError:
        raise UserError("--ray needs Ray: pip install -r requirements-cluster.txt, on every machine") from None
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if port.isdigit():
            socket.create_connection((host, int(port)), 10).close()      # Ray itself would try for minutes
        ray.init(address, log_to_driver=False, logging_level="error",
                 runtime_env={"working_dir": str(ROOT), "excludes": NOT_CODE})
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"--ray {address}: no Ray cluster can be used here ({str(error).strip().splitlines()[0]}); "
                        "start one with "
                        "`ray start --head`, see docs/cluster.md") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _on_cluster(ray, function, tasks):
    """Results in order. RAY_AHEAD tasks a core are under way at most; Ray repeats those of a node that dies."""
    call, function, waiting = ray.remote(_call), ray.put(function), deque()
    try:
        for task in tasks:
            if len(waiting) >= RAY_AHEAD * ray.cluster_resources().get("CPU", 1):     # nodes come and go
                yield ray.get(waiting.popleft())
            waiting.append(call.remote(function, task))
        while waiting:
            yield ray.get(waiting.popleft())
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None      # what the function raised, as a local process would
    except ray.exceptions.RayError as error:
        raise UserError(f"Ray could not finish a task ({str(error).strip().splitlines()[0]}); look at `ray status`, "
                        "then run the same command again: it resumes from here") from None


def _call(function, task):
    cv2.setNumThreads(1)
    return function(task)
