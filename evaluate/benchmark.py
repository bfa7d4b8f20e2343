"""What the evaluations on public benchmarks share: running the detector on their images, files of results.

A result file has the form that WIDER FACE and FDDB ask for: a line with the image's name, a line with the number of
detections, and a line `x y w h score` for each, in pixels.
"""
import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config import BENCHMARK_MIN_FACE, OUTPUT, POINTS
from detection import Faces, UserError, images
from export import runners
from pipeline import workers
from pipeline.problems import Problems
from preprocess import labels, partial_cascade
from preprocess.labels import reading


def add_arguments(group, name: str, written: str) -> None:
    """Adds the detector's options, --out and --json to an argparse group. written: what goes to <out>, in words."""
    partial_cascade.add_arguments(group, "benchmark_threshold", BENCHMARK_MIN_FACE[name])
    group.add_argument("--exported", type=Path, metavar="DIR",
                       help="run exported nets (SavedModel, TFLite, ONNX) from a folder of export/export.py instead of "
                       "those in <model>")
    group.add_argument("--out", type=Path, default=OUTPUT / name, metavar="DIR",
                       help=f"{written} (default: output/{name})")
    group.add_argument("--json", type=Path, metavar="FILE", help="the same numbers as JSON")


def ignored(*others: str) -> dict[str, tuple[str, ...]]:
    """As `step.run` takes it. others: options of the script that --results leaves without an effect, too."""
    return {"results": ("thresholds", "min_face", "exported", "model", *others), "exported": ("model",)}


def options(args: Namespace) -> partial_cascade.Chosen:
    """Parsed arguments -> the cascade that `detect` runs."""
    return partial_cascade.options(args, "benchmark_threshold", args.exported, runners.load if args.exported else None)


@dataclass(frozen=True)
class Detect:
    """Name of an image below `folder` -> Faces, or the reason why it cannot be read."""
    folder: Path
    cascade: partial_cascade.Chosen

    def __call__(self, name):
        try:
            image = images.read(self.folder / name)
        except UserError as error:
            return str(error)
        return partial_cascade.detector(*self.cascade).detect(image)


def detect(folder: Path, names: Sequence[str], cascade: tuple, processes: int, source: Path) -> Iterator[Faces]:
    """Yields the Faces of each image, none for one that cannot be read; these are named and counted at the end.

    folder: of the images. names: below it. cascade: from `options`. source: of the names, for messages.
    """
    problems = Problems()
    for found in workers.run(Detect(folder, cascade), names, processes, "detect", [1] * len(names), "image"):
        if isinstance(found, str):
            problems.add(f"{found}; its faces count as missed")
            found = Faces()
        yield found
    problems.report(len(names), "images", source)


def result_text(name: str, faces: Faces) -> str:
    """Name of an image, its Faces -> its part of a result file."""
    corner, side = faces.boxes[:, :2], faces.boxes[:, 2:] - faces.boxes[:, :2]
    rows = np.hstack([corner, side, faces.scores[:, None]])
    return "".join([f"{name}\n{len(rows)}\n",
                    *("{:.2f} {:.2f} {:.2f} {:.2f} {:.9g}\n".format(*row) for row in rows.tolist())])


def read_results(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Result file -> {image: (boxes (N, 4) px, scores (N,))}; UserError, with its line, where it is broken."""
    return {name: (np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]]), rows[:, 4])
            for name, rows in read_entries(path, 5, "x y w h score").items()}


def read_entries(path: Path, columns: int, form: str, check: Callable[[list[float]], None] | None = None
                 ) -> dict[str, np.ndarray]:
    """File of entries, each a name, a count and that many lines of numbers -> {name: (count, columns)}. form: of such a
    line, for messages. check: numbers of a line -> BadLabel where they cannot be."""
    lines = iter(reading.text_lines(path))
    entries = {}
    for number, name in lines:
        try:
            if name in entries:
                raise labels.BadLabel(f"{name} is there for the second time")
            number, count = next(lines, (number, "nothing"))
            if not count.isdigit():
                raise labels.BadLabel(f"after {name} the number of its faces is expected, not {count}")
            rows = []
            for _ in range(int(count)):
                number, row = next(lines, (number, None))
                if row is None:
                    raise labels.BadLabel(f"{name} should have {count} faces, and the file ends after {len(rows)}")
                rows.append(reading.numbers(row, columns))
                if check:
                    check(rows[-1])
        except labels.BadLabel as error:
            raise UserError(f"{path}:{number}: {error}; the file holds for each image, once, its name, a count and "
                            f"that many lines `{form}`") from None
        entries[name] = np.array(rows, float).reshape(-1, columns)
    return entries


def read_faces(path: Path) -> dict[str, Faces]:
    """The JSON that test.py writes -> {image: Faces}; UserError, with the line where known, where it is broken."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return {name: Faces(np.array([f["box"] for f in faces], np.float32).reshape(-1, 4),
                            np.array([f["score"] for f in faces], np.float32),
                            np.array([f["landmarks"] for f in faces if f["landmarks"]], np.float32).reshape(
                                len(faces) if any(f["landmarks"] for f in faces) else 0, len(POINTS), 2))
                for name, faces in found.items()}
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: is not JSON ({error.msg}); write it with `test.py --json`") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: does not hold box, score and {len(POINTS)} landmarks of every face ({error}); write "
                        "it with `test.py --json`") from None


def aps(sets: Mapping[str, Mapping]) -> list[float]:
    """Numbers of evaluate/wider.py, {set: {"ap": ...}} -> [AP of each set, NaN where it has no face]."""
    return [np.nan if numbers["ap"] is None else numbers["ap"] for numbers in sets.values()]
