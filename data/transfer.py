"""Loads a file over HTTP and resumes where it was cut off. Standard library alone."""
import contextlib
import http.client
import sys
import time
import urllib.error
import urllib.request

TRIES = 5                # in a row in which nothing arrives, before a home is given up
WAIT = 2.0               # seconds before the first new try, doubled with each
TIMEOUT = 60.0           # seconds without a byte
CHUNK = 1 << 20          # bytes read at a time
AGENT = "Mozilla/5.0 (compatible; data/download.py)"     # some homes refuse Python's own name


class Problem(Exception):
    """What went wrong, in one plain sentence."""


class _Cut(Exception):
    """The connection ended before the file did, or (`reached` False) did not come about."""

    def __init__(self, reason, reached=True):
        super().__init__(reason)
        self.reached = reached


def load(url, part, size, begin):
    """Brings the file at `url` to the path `part`, resuming after the bytes that are there. size: bytes, or None.

    begin() is called each time before bytes of this home are written, and not where nothing was missing. Problem where
    this home does not give the file; what has arrived stays.
    """
    failed, reached = 0, False
    while True:
        before = _length(part)
        try:
            return _receive(url, part, size, begin)
        except _Cut as cut:
            reached = reached or cut.reached
            if not reached:
                raise Problem(f"{url}: cannot be reached ({cut})") from None
            failed = failed + 1 if _length(part) <= before else 1
            if failed >= TRIES:
                raise Problem(f"{url}: the connection was cut {failed} times in a row ({cut})") from None
            time.sleep(WAIT * 2 ** (failed - 1))


def _receive(url, part, size, begin):
    """One request. Asks for what is missing; begins anew where the home can only send the whole file."""
    have = _length(part)
    if size is not None and have > size:
        part.unlink()
        have = 0
    if size is not None and have == size:
        return
    headers = {"User-Agent": AGENT, **({"Range": f"bytes={have}-"} if have else {})}
    try:
        with _network():
            answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
        with answer:
            if "html" in answer.headers.get("Content-Type", ""):
                page = _read(answer, 1 << 16).decode("utf-8", "replace").lower()
                raise Problem(f"{url}: sends a web page in place of the file" + (
                    ", which says that its quota of downloads is used up" if "quota" in page else ""))
            behind = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if have and not behind:
                print(f"{url}: cannot go on in the middle, starting anew")
                have = 0
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else size
            if size is not None and total != size:
                raise Problem(f"{url}: offers {total:,} bytes where {size:,} are expected")
            begin()
            _copy(answer, part, have, total)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have and size is None:     # nothing is missing behind the last byte
            return
        if error.code in (408, 429) or error.code >= 500:
            raise _Cut(f"it answers {error.code} {error.reason}") from None
        raise Problem(f"{url}: refuses ({error.code} {error.reason})") from None


@contextlib.contextmanager
def _network():
    """What fails herein is the connection. Elsewhere, an OSError is one of the disk."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        raise _Cut(str(error.reason), reached=False) from None
    except (http.client.HTTPException, OSError) as error:
        raise _Cut(str(error) or type(error).__name__) from None


def _read(answer, count):
    with _network():
        return answer.read(count)


def _copy(answer, part, have, total):
    with open(part, "r+b" if have else "wb") as file, Progress(part.name.removesuffix(".part"), total) as progress:
        file.seek(have)
        while chunk := _read(answer, CHUNK):
            file.write(chunk)
            have += len(chunk)
            if total is not None and have > total:
                raise Problem(f"{answer.url}: sends more than the {total:,} bytes that it announces")
            progress.show(have)
    if total is not None and have < total:
        raise _Cut(f"after {have:,} of {total:,} bytes")


def _length(path):
    return path.stat().st_size if path.exists() else 0


class Progress:
    """A line with share, rate and the time left, drawn over itself on a terminal, every tenth elsewhere."""

    def __init__(self, name, total):
        self.name, self.total, self.start, self.first, self.shown = name, total, time.monotonic(), None, -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def show(self, done):
        """done: bytes so far, those of earlier runs among them."""
        now = time.monotonic()
        self.first = done if self.first is None else self.first
        rate = (done - self.first) / max(now - self.start, 1e-3)
        seconds = int((self.total - done) / rate) if self.total and rate else 0
        left = f", {seconds // 60}:{seconds % 60:02} left" if seconds else ""
        line = f"{self.name}: {done / 1e6:,.1f}" + (f" of {self.total / 1e6:,.1f} MB ({done / self.total:.0%})"
                                                    if self.total else " MB") + f", {rate / 1e6:.1f} MB/s{left}"
        step = int(now * 5) if sys.stderr.isatty() else done * 10 // self.total if self.total else done // 100_000_000
        if step != self.shown or done == self.total:
            print(f"\r{line:<79}" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n",
                  file=sys.stderr, flush=True)
            self.shown = step
