"""Samples -> TFRecord shards, an image and all its samples in one group of shards, so that it is decoded once.

HELD_OUT_SHARE of the images are held out, by their paths. Where these hold too few images of a kind of sample, because
there are few images at all, the images with that kind whose paths come next are held out, too.
"""
import argparse
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from config import HELD_OUT_LEAST, HELD_OUT_MOST, MAX_SHARDS, MIN_SHARDS, SHARD_BYTES
from detection import images
from detection.errors import UserError
from pipeline import step, storage, workers
from pipeline.problems import Problems
from preprocess import crops, samples, tfrecord

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Task:
    """One group of shards. lines: its samples, "<list><TAB><sample>" each; outputs: (list, split) -> file; held_out:
    images that are held out besides those that samples.held_out names."""
    lines: Path
    done: Path
    outputs: dict[tuple[str, str], Path | str]
    data: Path
    size: int
    seed: int
    held_out: frozenset[str]


@dataclass
class KindImages:
    """The images with samples of one kind: how many, how many of them are held out by the rule, and the next ones,
    (place in the rule, path), up to HELD_OUT_LEAST."""
    count: int = 0
    held_out: int = 0
    following: list[tuple[float, str]] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Counts one image."""
        self.count += 1
        if samples.held_out(path):
            self.held_out += 1
        else:
            place = samples.share_of(path, "validation"), path
            if place not in self.following:
                self.following = sorted([*self.following, place])[:HELD_OUT_LEAST]

    def chosen(self) -> list[str]:
        """The images to hold out besides those of the rule."""
        wanted = min(HELD_OUT_LEAST, int(HELD_OUT_MOST * self.count))
        return [path for _, path in self.following[:max(wanted - self.held_out, 0)]]


def write_group(task: Task) -> None:
    """Writes one group of shards and its report, task.done, unless that is done. UserError for a damaged list."""
    if task.done.is_file():
        return
    by_image = {}
    with open(task.lines, encoding="utf-8") as lines:
        for line in lines:
            name, line = line.split("\t", 1)
            by_image.setdefault(samples.path_of(line), []).append((name, line))
    encoded, problems, kinds = {key: [] for key in task.outputs}, Problems(), Counter()
    for path in sorted(by_image):
        try:
            image = images.read(task.data / path)
        except UserError as error:
            problems.add(str(error))
            continue
        split, chosen = SPLITS[samples.held_out(path) or path in task.held_out], []
        for name, line in by_image[path]:
            try:
                chosen.append(samples.parse(line))
                crops.check(chosen[-1], image.shape)
            except ValueError as error:
                raise UserError(f"{name}.txt: `{line[:80].strip()}` is not a sample ({error}); write the list again "
                                "with --force") from None
            kinds[f"{samples.kind_of(line)}-{split}"] += 1
        for (name, _), sample, pixels in zip(by_image[path], chosen, crops.cut(image, chosen, task.size)):
            encoded[name, split].append(tfrecord.encode(pixels, sample.label, sample.offsets, sample.points))
    for (name, split), path in task.outputs.items():
        order = samples.rng("records", Path(path).name, task.seed).permutation(len(encoded[name, split]))
        tfrecord.write(path, (encoded[name, split][i] for i in order))
    counts = {f"{name}-{split}": len(rows) for (name, split), rows in encoded.items()}
    step.write_json(task.done, {"counts": counts, "images": len(by_image), "kinds": kinds,
                                "problems": asdict(problems)})


def shard_name(name: str, split: str, index: int, count: int) -> str:
    """List, split, number of the shard from 0, shards -> file name."""
    return f"{name}-{split}-{index:05d}-of-{count:05d}.tfrecord"


def scatter(lists: Sequence[Path], groups: Sequence[Path]) -> tuple[list[int], dict[str, KindImages]]:
    """Sorts the lines of the lists into the files `groups`, by image. Returns the number of lines in each, and the
    images of each kind.

    UserError, with its line, where a list is damaged.
    """
    sizes, kinds, before = [0] * len(groups), {}, None
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "w", encoding="utf-8")) for path in groups]
        for source in lists:
            with open(source, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.count("\t") != 4:
                        raise UserError(f"{source}:{number}: is not a sample; write the list again with --force")
                    image = samples.kind_of(line), samples.path_of(line)
                    if image != before:         # the samples of an image follow each other
                        kinds.setdefault(image[0], KindImages()).add(image[1])
                        group, before = int(samples.share_of(image[1], "shard") * len(groups)), image
                    files[group].write(f"{source.stem}\t{line}")
                    sizes[group] += 1
    return sizes, kinds


def write(run: step.Step, lists: Sequence[Path], place: str, args: argparse.Namespace) -> dict[str, Any]:
    """Writes all groups of shards below `place`, a folder or an address, and the manifest; returns its report.

    args: size, px; data; seed; workers. UserError where a list is damaged or too many images cannot be read.
    """
    size = args.size
    samples_in = sum(step.count_lines(path) for path in lists)
    count = min(max(-(-samples_in * size * size * 3 // SHARD_BYTES), MIN_SHARDS), MAX_SHARDS)
    groups = [run.part(f"group-{i:05d}.tsv") for i in range(count)]
    sizes, kinds = scatter(lists, groups)
    held_out = frozenset(path for images in kinds.values() for path in images.chosen())
    names = {(path.stem, split): [shard_name(path.stem, split, i, count) for i in range(count)]
             for path in lists for split in SPLITS}        # lists of one name go into the same shards
    target = storage.join(run.parts, place)
    tasks = [Task(group, group.with_suffix(".json"), {key: storage.join(target, n[i]) for key, n in names.items()},
                  args.data, size, args.seed, held_out) for i, group in enumerate(groups)]
    for _ in workers.run(write_group, tasks, args.workers, run.name, sizes, "record"):
        pass
    counts, by_kind, problems, image_count, incomplete = Counter(), Counter(), Problems(), 0, []
    for task in tasks:
        done = step.read_json(task.done)
        counts.update(done["counts"])
        problems.extend(Problems(**done["problems"]))
        image_count += done["images"]
        by_kind.update(done["kinds"])
        incomplete += [task.done] * (done["problems"]["count"] > 0)
    problems.report(image_count, "images", args.data, incomplete)
    report = {"size": size, "samples": samples_in, "images": image_count, "skipped": problems.count,
              "place": place, "kinds": by_kind, "counts": counts,
              "held_out": {kind: {"images": images.count, "held_out": images.held_out + sum(
                  path in held_out for _, path in images.following)} for kind, images in kinds.items()},
              "shards": {f"{name}-{split}": files for (name, split), files in names.items()}}
    return run.finish([f"{place}/{name}" for files in names.values() for name in files], report)
