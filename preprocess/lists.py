"""Photos -> lists of samples, one list a kind: what the three scripts that draw samples have in common.

Photos are done in parts of PHOTOS_PER_PART, larger ones where that would be more than MAX_PARTS. Each finished part is
one file: a first line of JSON (counts, problems), then its samples. At the end the parts are joined in order, a list a
kind.
"""
import json
from collections import Counter
from dataclasses import asdict, dataclass

from config import KINDS, MAX_PARTS, PHOTOS_PER_PART
from detection.errors import UserError
from preprocess import samples
from pipeline import workers
from preprocess.labels.annotations import Problems
from pipeline.step import Step, write_text


@dataclass(frozen=True)
class Part:
    """Draws the samples of some photos into one file. draw(photo) -> (lines, Counter of what was seen)."""
    draw: object

    def __call__(self, task):
        path, photos = task
        if not path.is_file():
            lines, counts, problems = [], Counter(), Problems()
            for photo in photos:
                try:
                    drawn, seen = self.draw(photo)
                except UserError as error:
                    problems.add(str(error))
                    continue
                lines += drawn
                counts.update(seen)
            head = json.dumps({"counts": counts, "problems": asdict(problems)})
            write_text(path, head + "\n" + "".join(lines))


def write(step: Step, draw, photos, kinds, worker_count, source):
    """Draws all photos and writes one list a kind. Returns the report: counts a list, and what draw counted."""
    size = max(PHOTOS_PER_PART, -(-len(photos) // MAX_PARTS))
    tasks = [(step.part(f"{i:06d}.tsv"), photos[i:i + size]) for i in range(0, len(photos), size)]
    sizes = [len(photos) for _, photos in tasks]
    for _ in workers.run(Part(draw), tasks, worker_count, step.name, sizes, "photo"):
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
    problems.report(len(photos), "photos", source, incomplete)
    report = {"photos": len(photos), "skipped": problems.count, **{kind: report[kind] for kind in kinds},
              **{name: n for name, n in report.items() if name not in KINDS}}
    return step.finish([f"{kind}.txt" for kind in kinds], report)


def announce(report, kinds, folder):
    """Prints what a list step wrote, and warns of a kind that is empty."""
    for kind in kinds:
        print(f"{folder / kind}.txt: {report[kind]:,} samples")
    for kind in kinds:
        if not report[kind]:
            print(f"warning: there is no {kind} sample; a net trained without them learns nothing from that kind. "
                  "Give it more photos, or larger ones")
