"""Maps a function over tasks with local processes. The result does not depend on how many."""
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2
from tqdm import tqdm

from detection.errors import UserError


def run(function, tasks, workers, what, units, unit):
    """Yields function(task) for each task, in order, with a progress bar that counts units[i] `unit`s for task i.

    function and tasks travel to other processes, so the function is one of a module or an object of such a class.
    """
    workers = min(workers, len(tasks))
    with tqdm(total=sum(units), desc=what, unit=f" {unit}", smoothing=0.1, mininterval=0.5) as bar:
        if workers <= 1:
            for done, result in zip(units, map(function, tasks)):
                bar.update(done)
                yield result
            return
        context = multiprocessing.get_context("spawn")     # a fork of a process with threads can hang
        with ProcessPoolExecutor(workers, context, _start) as pool:
            with _interrupts_ignored():            # the workers inherit that: Ctrl-C is this process' matter
                results = pool.map(function, tasks)
            try:
                for done, result in zip(units, results):
                    bar.update(done)
                    yield result
            except BrokenProcessPool:
                raise UserError(f"{what}: a worker process was ended from outside, perhaps for lack of memory; run this "
                                f"again with --workers {max(workers // 2, 1)}: it goes on from here") from None


def _start():
    """What a worker does first."""
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
