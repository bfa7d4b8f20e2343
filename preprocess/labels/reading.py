"""What the readers of label files share: lines, numbers, and names of images."""
import math
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from detection.errors import UserError
from detection.images import EXTENSIONS
from preprocess.labels import FAR, BadLabel
from preprocess.samples import require_below

NUMBER = re.compile(r"[-+.\deE]+")      # what looks like one; `numbers` decides
LIKE_NUMBER = re.compile(r"[-+.]*\d[^/\\]*|[-+.]+|[-+]?(nan|inf)|none|null", re.IGNORECASE)  # what may have been one


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, as (number counted from 1, text without blanks around it).

    UserError where the file cannot be read or is not in UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = (line for text in file for line in text.splitlines())
            yield from ((n, line.strip()) for n, line in enumerate(lines, 1) if line.strip())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file in UTF-8; save it as one") from None


def numbers(text: str, count: int) -> list[float]:
    """`count` numbers with blanks between them. BadLabel where they are not that, or one cannot be a position, px."""
    try:
        values = [float(value) for value in text.split()]
    except ValueError:
        raise BadLabel(f"`{text[:60]}` is not {count} numbers") from None
    if len(values) != count:
        raise BadLabel(f"{len(values)} numbers where {count} are expected")
    if not sum(map(abs, values)) < FAR and not all(math.isfinite(value) and abs(value) < FAR for value in values):
        raise BadLabel(f"`{text[:60]}` holds a number that cannot be a position")
    return values


def name_and_numbers(line: str) -> tuple[str, str]:
    """A line `name number number ...` -> the name, and the rest, also where a number in it is damaged.

    A name may hold blanks. It ends with the last word that ends like the name of an image; where there is none, before
    all the last words that begin like a number.
    """
    words = line.split()
    count = next((i for i, word in enumerate(reversed(words)) if is_image_name(word)), None)
    if count is None:
        count = sum(1 for _ in takewhile(LIKE_NUMBER.fullmatch, words[:0:-1]))
    return line.rsplit(maxsplit=count)[0] if words else "", " ".join(words[len(words) - count:])


def is_image_name(text: str) -> bool:
    """Whether a line ends like the name of an image."""
    return "." in text and Path(text.replace("\0", "")).suffix.lower() in EXTENSIONS


def image_path(folder: str, name: str) -> str:
    """A folder below the data folder ("" for itself) and a name in it as a label file has it -> the image's path below
    the data folder, with slashes. BadLabel where the name leads out of the folder."""
    try:
        require_below(name)
    except ValueError as error:
        raise BadLabel(str(error)) from None
    return "/".join(([folder] if folder else []) + [part for part in name.replace("\\", "/").split("/") if part])
