"""A long sequence that is held as compressed blocks of objects, and parts of it."""
import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

BLOCK = 1000        # objects that are compressed together, and unpacked to read one of them


class Packed(Sequence):
    """Objects that can be pickled, one after the other: cheap in memory, to append to and to go through in order.

    What it gives are copies. Slices are views, and only what they show is pickled for other processes.
    """

    def __init__(self, items: Iterable[Any] = ()):
        self._blocks, self._last, self._unpacked = [], [], (-1, [])
        for item in items:
            self.append(item)

    def append(self, item: Any) -> None:
        """Adds an object at the end."""
        self._last.append(item)
        if len(self._last) == BLOCK:
            self._blocks.append(zlib.compress(pickle.dumps(self._last, pickle.HIGHEST_PROTOCOL), 1))
            self._last = []

    def drained(self) -> Iterator[Any]:
        """All objects, which are given up on the way."""
        while self._blocks:
            yield from _loaded(self._blocks.pop(0))
        while self._last:
            yield self._last.pop(0)

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._last)

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return Part(self, range(len(self))[at])
        number, inside = divmod(range(len(self))[at], BLOCK)
        return self._block(number)[inside]

    def __iter__(self) -> Iterator[Any]:
        return (item for number in range(-(-len(self) // BLOCK)) for item in self._block(number))

    def _block(self, number: int) -> list[Any]:
        if number == len(self._blocks):
            return self._last
        unpacked = self._unpacked
        if unpacked[0] != number:
            self._unpacked = unpacked = number, _loaded(self._blocks[number])
        return unpacked[1]


def _loaded(block: bytes) -> list[Any]:
    return pickle.loads(zlib.decompress(block))


class Part(Sequence):
    """Some objects of a Packed, by their numbers."""

    def __init__(self, whole: Packed, numbers: range):
        self._whole, self._numbers = whole, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, at: int | slice) -> Any:
        return Part(self._whole, self._numbers[at]) if isinstance(at, slice) else self._whole[self._numbers[at]]

    def __reduce__(self) -> tuple:
        return list, (list(self),)
