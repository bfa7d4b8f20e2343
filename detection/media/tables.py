"""JSON and CSV files that grow with each result and are whole after each of them, also if the program is killed."""
import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

from detection.errors import UserError
from detection.files import write_bytes


class _Growing:
    """A file of pieces; after each, `tail` makes it whole, until the next piece takes its place.

    It replaces an older file with the first piece, or when it is closed. A device or a pipe, as /dev/stdout, gets its
    tail when it is closed. UserError where it cannot be written; then it holds the pieces so far.
    """

    def __init__(self, path: Path | str, start: bytes, tail: bytes):
        self.path, self._start, self._tail, self._end = Path(path), start, tail, len(start)
        self._file: io.FileIO | None = None
        self._seekable = True

    def append(self, piece: bytes, tail: bytes) -> None:
        """Writes the piece, and behind it the tail."""
        file = self._open()
        try:
            if not self._seekable:
                self._write(file, piece)
            else:
                try:
                    file.seek(self._end)
                    self._write(file, piece + tail)
                except BaseException:
                    file.seek(self._end)
                    self._write(file, self._tail)
                    file.truncate()
                    raise
            self._end, self._tail = self._end + len(piece), tail
        except OSError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Makes sure that the file is on the disk."""
        file = self._open()
        try:
            with file:
                if self._seekable:
                    os.fsync(file.fileno())
                else:
                    self._write(file, self._tail)
        except OSError as error:
            raise self._error(error) from None

    def _open(self) -> io.FileIO:
        if self._file is None:
            self._seekable = self.path.is_file() or not self.path.exists()
            if self._seekable:
                write_bytes(self.path, self._start + self._tail)
            try:
                self._file = open(self.path, "r+b" if self._seekable else "wb", buffering=0)
                if not self._seekable:
                    self._write(self._file, self._start)
            except OSError as error:
                raise self._error(error) from None
        return self._file

    @staticmethod
    def _write(file: io.FileIO, data: bytes) -> None:
        while data:                                  # a disk that gets full takes a part, then raises OSError
            data = data[file.write(data):]

    def _error(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be written ({error.strerror or error}); it holds the results so far; "
                         "make room, then run this again")


class JsonFile(_Growing):
    """One JSON object; its bytes are those of json.dumps(..., indent=1) and an end of line."""

    def __init__(self, path: Path | str):
        super().__init__(path, b"{", b"}\n")
        self._comma = b""

    def add(self, key: str, value: object) -> None:
        """One more key of the object."""
        entry = json.dumps({key: value}, indent=1)[1:-2].encode()
        self.append(self._comma + entry, b"\n}\n")
        self._comma = b","


class CsvFile(_Growing):
    """Comma-separated values, one record per line."""

    def __init__(self, path: Path | str, header: Iterable[object]):
        super().__init__(path, _lines([header]), b"")

    def add(self, rows: Iterable[Iterable[object]]) -> None:
        """More records."""
        self.append(_lines(rows), b"")


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")       # names need not be UTF-8
