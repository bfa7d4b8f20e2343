"""What a step skips and why: named, counted, and an error where it is too much."""
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from config import BAD_SHARE
from detection.errors import UserError

SHOWN = 10      # messages that are kept; all are counted


@dataclass
class Problems:
    """What was skipped: up to SHOWN messages, and how many problems there were in all."""
    examples: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, message: str) -> None:
        """Counts one problem. message: what was skipped and why, in one line."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(message.encode("utf-8", "backslashreplace").decode())     # names need not be UTF-8

    def extend(self, other: "Problems") -> None:
        """Adds the problems of another part of the work."""
        self.examples = (self.examples + other.examples)[:SHOWN]
        self.count += other.count

    def report(self, total: int, what: str, source: Path | str, incomplete: Iterable[Path] = ()) -> None:
        """Prints what was skipped of the `total` `what` ("images", "entries") of `source`.

        UserError where that is more than BAD_SHARE of them, or all. Then the files `incomplete`, parts of a step that
        lack something, are removed, so that the next run does them again.
        """
        try:
            self._report(total, what, source)
        except UserError:
            for path in incomplete:
                path.unlink()
            raise

    def _report(self, total, what, source):
        for message in self.examples:
            print(f"skipped: {message}")
        if self.count > len(self.examples):
            print(f"skipped: ... and {self.count - len(self.examples)} more")
        first = f" (first: {self.examples[0]})" if self.examples else ""
        if total == 0 or self.count == total:
            raise UserError(f"{source}: no usable {what} in it{first}; check that it is the right file and that the "
                            "images lie beside it as data/README.md says")
        if self.count > BAD_SHARE * total:
            raise UserError(f"{source}: {self.count} of {total} {what} cannot be used{first}; that is more than "
                            f"{BAD_SHARE:.0%}, so the data set is probably incomplete: correct it and run this again")
