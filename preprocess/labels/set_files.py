"""The files of a set: images, found by the names that label files give them, and what else lies there."""
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from os.path import commonprefix
from pathlib import Path
from urllib.parse import unquote

from detection.errors import UserError
from detection.files import is_junk, walk
from detection.images import EXTENSIONS, FOREIGN, size
from preprocess.labels import BadLabel
from preprocess.labels.checks import Place
from preprocess.samples import require_below

# Folders that sort files by their kind, and so are no part of the name of an image.
KINDS = {"images", "image", "img", "imgs", "labels", "annotations", "annotation", "jpegimages", "obj_train_data"}
NAMES_SHOWN = 3


class SetFiles:
    """All files below the folder of a set. images: their paths below the folder; others: Paths of all other files;
    left_out, named: how many files are not used, and some of their names, by what they are."""

    def __init__(self, data: Path, folder: Path):
        self.data, self.folder = Path(data), Path(folder)
        self.images, self.others, self.left_out, self.named = [], [], Counter(), defaultdict(list)
        for path in walk(folder):
            inside = path.relative_to(folder)
            if is_junk(inside):
                self.leave_out("hidden files, thumbnails and backups", inside.as_posix())
            elif path.suffix.lower() in EXTENSIONS:
                self.images.append(inside.as_posix())
            elif path.suffix.lower() in FOREIGN:
                self.leave_out(f"images in {path.suffix.lower()}, which OpenCV does not read", inside.as_posix())
            else:
                self.others.append(path)
        self._of_stem = defaultdict(list)           # plain stem -> images, in order
        for image in self.images:
            self._of_stem[_plain(_parts(image)[-1])].append(image)
        self._sizes = {}

    def leave_out(self, what: str, name: str) -> None:
        """Counts a file that is not used."""
        self.left_out[what] += 1
        if len(self.named[what]) < NAMES_SHOWN:
            self.named[what].append(shown(name))

    def path(self, image: str) -> str:
        """One of the images, below the data folder."""
        return f"{self.folder.relative_to(self.data).as_posix()}/{image}"

    def name_beside(self, inside: Path) -> str:
        """The name of the image of a label file that is named after it, both below the folder of the set: without the
        folders of labels."""
        folders = inside.parts[:-1]
        if folders and not any(image.startswith(folders[0] + "/") for image in self.images):
            folders = folders[1:]
        return "/".join([*(part for part in folders if part.lower() not in KINDS), inside.stem])

    def require_images(self) -> None:
        """UserError where there is no image."""
        if not self.images:
            unread = "".join(f"; {count} {what}" for what, count in self.left_out.items() if what.startswith("images"))
            raise UserError(f"{self.folder}: there is no image in it{unread}")

    def locate(self, name: str, base: str = "") -> Place:
        """The image that a label file means by `name`; base: where the label file lies, below the folder of the set.

        A name may be a path from another machine, with other slashes, in another case, encoded for the web, without
        its extension or with another one. BadLabel where no image fits, or several fit equally.
        """
        found, exact = self.match(name, base)
        path = self.path(found)
        try:
            require_below(path)
        except ValueError as error:
            raise BadLabel(str(error), "a name that no list can hold") from None
        if found not in self._sizes:
            try:
                self._sizes[found] = size(self.folder / found)
            except UserError as error:
                raise BadLabel(str(error), "an image that does not decode") from None
        return Place(path, self._sizes[found], exact)

    def meant(self, names: Iterable[str], base: str = "") -> list[str]:
        """The images that a label with these names is of, whether it can be used or not: one, all that fit equally, or
        none."""
        return min(filter(None, (self._fitting(name, base)[0] for name in names)), key=len, default=[])

    def match(self, name: str, base: str) -> tuple[str, bool]:
        """The image below the folder, and whether its whole name fits."""
        images, exact = self._fitting(name, base)
        if not images:
            raise BadLabel(f"there is no image {name} in {self._where()}", "no such image")
        if len(images) > 1:
            raise BadLabel(f"{len(images)} images fit the name {name}: {', '.join(images[:5])}; write more of its path",
                           "a name that several images have")
        return images[0], exact

    def _fitting(self, name: str, base: str) -> tuple[list[str], bool]:
        """The images below the folder that fit best, and whether their whole name does."""
        for text in dict.fromkeys((name, unquote(name))):
            parts = _parts(text)
            if not parts:
                continue
            images = self._of_stem.get(_plain(parts[-1]), [])
            here = [part for part in _parts(base) if part.lower() not in KINDS] if base else []
            wanted = [*here, *(part for part in parts[:-1] if part.lower() not in KINDS)]
            folders = {image: [part for part in _parts(image)[:-1] if part.lower() not in KINDS] for image in images}
            whole = [image for image in images if list(map(_plain, folders[image])) == list(map(_plain, wanted))]
            if whole:
                return _nearest(parts[-1], whole), True
            wanted = wanted[len(here):]
            ends = [image for image in images if _ends_alike([*map(_plain, folders[image])], [*map(_plain, wanted)])]
            if ends:                # the nearest to the label file
                shared = [len(commonprefix([_parts(base), _parts(image)[:-1]])) for image in ends]
                nearest = [image for image, depth in zip(ends, shared) if depth == max(shared)]
                return _nearest(parts[-1], nearest), False
        return [], False

    def _where(self) -> str:
        return "images/" if (self.folder / "images").is_dir() else self.folder.name + "/"


def shown(name: str) -> str:
    """A name that can be printed: names of files need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _parts(name: str) -> list[str]:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return parts[len(parts) - parts[::-1].index(".."):] if ".." in parts else parts


def _stem(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return stem if dot and f".{extension.lower()}" in EXTENSIONS | FOREIGN else name


def _plain(name: str) -> str:
    """A name without the extension of an image, in one case and one Unicode form."""
    return unicodedata.normalize("NFC", _stem(name)).casefold()


def _ends_alike(a: list[str], b: list[str]) -> bool:
    """Whether one list of folders is the end of the other one."""
    return all(x == y for x, y in zip(reversed(a), reversed(b)))


def _nearest(last: str, images: list[str]) -> list[str]:
    """The one image whose file name is the nearest to `last`, or all where none is."""
    for same in (lambda image: _parts(image)[-1] == last, lambda image: _stem(_parts(image)[-1]) == _stem(last),
                 lambda image: _parts(image)[-1].casefold() == last.casefold(), lambda image: True):
        fitting = [image for image in images if same(image)]
        if len(fitting) == 1:
            return fitting
    return images
