"""Images -> lists of samples, one list per kind: what the three scripts that write lists share.

The images are processed in parts of IMAGES_PER_PART, larger ones where that would make more than MAX_PARTS parts. Each
finished part is one file: a first line of JSON (counts, problems), then its samples. At the end the parts are joined in
order, into one list per kind.
"""
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from config import IMAGES_PER_PART, KINDS, MAX_PARTS
from detection.errors import UserError
from pipeline import workers
from pipeline.problems import Problems
from pipeline.step import Step, write_text
from preprocess import samples
from preprocess.labels import AnnotatedImage

Sampler = Callable[[AnnotatedImage], tuple[list[str], Mapping[str, int]]]     # -> lines, what was counted


@dataclass(frozen=True)
class Part:
    """Writes the samples of some images, task = (file, images), into one file, unless that is done."""
    sampler: Sampler

    def __call__(self, task: tuple[Path, Sequence[AnnotatedImage]]) -> None:
        path, images = task
        if not path.is_file():
            lines, counts, problems = [], Counter(), Problems()
            for image in images:
                try:
                    sampled, seen = self.sampler(image)
                except UserError as error:
                    problems.add(str(error))
                    continue
                lines += sampled
                counts.update(seen)
            head = json.dumps({"counts": counts, "problems": asdict(problems)})
            write_text(path, head + "\n" + "".join(lines))


def write(step: Step, sampler: Sampler, images: Sequence[AnnotatedImage], kinds: Sequence[str],
          processes: int | str, source: Path) -> dict[str, Any]:
    """Samples all images and writes one list per kind. Returns the report: samples per kind, and what sampler counted.

    processes: as pipeline.workers.run takes them; source: of the images, for messages. UserError where too many images
    cannot be read.
    """
    size = max(IMAGES_PER_PART, -(-len(images) // MAX_PARTS))
    tasks = [(step.part(f"{i:06d}.tsv"), images[i:i + size]) for i in range(0, len(images), size)]
    sizes = [len(part) for _, part in tasks]
    for _ in workers.run(Part(sampler), tasks, processes, step.name, sizes, "image"):
        pass
    report, problems, incomplete = Counter(), Problems(), []
    files = {kind: open(step.part(f"{kind}.txt"), "w", encoding="utf-8") for kind in kinds}
    try:
        for path, _ in tasks:
            with open(path, encoding="utf-8") as part:
                head = json.loads(part.readline())
                report.update(head["counts"])
                problems.extend(Problems(**head["problems"]))
                incomplete += [path] * (head["problems"]["count"] > 0)
                for line in part:
                    kind = samples.kind_of(line)
                    files[kind].write(line)
                    report[kind] += 1
    finally:
        for file in files.values():
            file.close()
    problems.report(len(images), "images", source, incomplete)
    report = {"images": len(images), "skipped": problems.count, **{kind: report[kind] for kind in kinds},
              **{name: n for name, n in report.items() if name not in KINDS}}
    return step.finish([f"{kind}.txt" for kind in kinds], report)


def announce(report: Mapping[str, Any], kinds: Sequence[str], folder: Path) -> None:
    """Prints what a list step wrote into `folder`, and warns of a kind that is empty."""
    for kind in kinds:
        print(f"{folder / kind}.txt: {report[kind]:,} samples")
    for kind in kinds:
        if not report[kind]:
            print(f"warning: there is no {kind} sample; a net that is trained without them learns nothing from "
                  "that kind. Add more images, or larger ones")
