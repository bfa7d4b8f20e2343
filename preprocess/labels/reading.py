"""What the readers of label files share: lines, numbers, and the names of images."""
import math
import re
from pathlib import Path

from detection.errors import UserError
from detection.images import EXTENSIONS, read
from preprocess.labels import FAR, BadLabel
from preprocess.samples import require_below

NUMBER = re.compile(r"[-+.\deE]+")      # what looks like one; `numbers` decides


def text_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, as (number counted from 1, text without blanks around it).

    UserError where the file cannot be read or is not in UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file in UTF-8; save it as one") from None
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def numbers(text: str, count: int) -> list[float]:
    """`count` numbers with blanks between them. BadLabel where they are not that, or one cannot be a position, px."""
    try:
        values = [float(value) for value in text.split()]
    except ValueError:
        raise BadLabel(f"`{text[:60]}` is not {count} numbers") from None
    if len(values) != count:
        raise BadLabel(f"{len(values)} numbers where {count} are expected")
    if not all(math.isfinite(value) and abs(value) < FAR for value in values):
        raise BadLabel(f"`{text[:60]}` holds a number that cannot be a position")
    return values


def is_image_name(text: str) -> bool:
    """Whether a line ends like the name of an image."""
    return bool(re.search(r"\.(jpe?g|png|bmp|webp)$", text, re.IGNORECASE))


def image_path(folder: str, name: str) -> str:
    """A folder below the data folder ("" for itself) and a name in it as a label file has it -> the image's path below
    the data folder, with slashes. BadLabel where the name leads out of the folder."""
    try:
        require_below(name)
    except ValueError as error:
        raise BadLabel(str(error)) from None
    return "/".join(([folder] if folder else []) + [part for part in name.replace("\\", "/").split("/") if part])


class SetImages:
    """The images in <set>/images, found by the names that label files give them."""

    def __init__(self, data: Path, folder: Path):
        """UserError where the folder `folder`/images, below `data`, holds no image."""
        self._rescaled = False      # whether that was said already
        self.data, images = Path(data), folder / "images"
        paths = sorted(path for path in images.rglob("*") if path.suffix.lower() in EXTENSIONS)
        if not paths:
            raise UserError(f"{images}: there is no image in it")
        self._paths = {name: path.relative_to(data).as_posix() for path in reversed(paths)
                       for name in (path.relative_to(images).with_suffix("").as_posix(),
                                    path.relative_to(images).as_posix())}

    def find(self, name: str) -> str:
        """Name below images/, with or without extension -> the image's path below the data folder; else BadLabel."""
        if name not in self._paths:
            raise BadLabel(f"there is no image {name} in images/")
        return self._paths[name]

    def scale(self, path: str, width: str | float | None, height: str | float | None) -> float:
        """Image below the data folder, the size that its label file states, px -> what its boxes are multiplied by.

        1 where no size is stated (none, or 0), or it is the image's. BadLabel where the image has other proportions.
        """
        try:
            stated = float(width or 0), float(height or 0)
        except (TypeError, ValueError):
            raise BadLabel(f"its size {width} x {height} is not a pair of numbers") from None
        if not all(math.isfinite(side) and side > 0 for side in stated):
            return 1.0
        try:
            actual = read(self.data / path).shape[1::-1]
        except UserError as error:
            raise BadLabel(str(error)) from None
        if stated == actual:
            return 1.0
        sizes = f"was labeled at {stated[0]:g} x {stated[1]:g} px, but {path} has {actual[0]} x {actual[1]} px"
        scale = max(actual) / max(stated)
        if all(abs(side * scale - has) <= 1 for side, has in zip(stated, actual)):
            if scale != 1 and not self._rescaled:
                print(f"{path} {sizes}; its boxes are rescaled, and so are those of every image like it")
            self._rescaled |= scale != 1
            return scale
        turned = stated == actual[::-1]
        raise BadLabel(sizes + ("; the labels do not follow the orientation in its EXIF data: turn the stored image "
                                "and label it again" if turned else "; find the image that was labeled"))
