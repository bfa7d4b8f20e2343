"""Maps a function over tasks with local processes. The result does not depend on how many."""
import multiprocessing

import cv2
from tqdm import tqdm


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
        with context.Pool(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            for done, result in zip(units, pool.imap(function, tasks)):
                bar.update(done)
                yield result
