"""Interpreters that only one thread at a time may use, shared by any number of threads."""
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")


class InterpreterPool(Generic[Item]):
    """Copies of one interpreter. make: makes one; size: how many at most, by default one per processor.

    The first is made at once, so that an error shows where the engine is made, and the others only when all are in use.
    A thread that finds `size` of them in use waits for one.
    """

    def __init__(self, make: Callable[[], Item], size: int | None = None):
        self._make, self._places = make, threading.Semaphore(size or os.cpu_count() or 1)
        self._idle = [make()]

    @contextmanager
    def borrow(self) -> Iterator[Item]:
        """An interpreter for the block alone. One that fails in it is not used again."""
        with self._places:
            try:
                item = self._idle.pop()        # the one that was used last: its buffers fit the next call most likely
            except IndexError:
                item = self._make()
            yield item
            self._idle.append(item)
