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
class Group:
    """One group of shards. outputs: (list, split) -> file; done: its report, written last."""
    outputs: dict[tuple[str, str], Path | str]
    done: Path
    data: Path
    seed: int


@dataclass(frozen=True)
class Task(Group):
    """The group of these samples. lines: "<list><TAB><sample>" each; size: px of the crops; held_out: images that are
    held out besides those that samples.held_out names."""
    lines: Path
    size: int
    held_out: frozenset[str]


@dataclass
class KindImages:
    """The images with samples of one kind: their paths, how many of them are held out by the rule, and the next ones,
    (place in the rule, path), up to HELD_OUT_LEAST."""
    paths: set[str] = field(default_factory=set)
    held_out: int = 0
    following: list[tuple[float, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.paths)

    def add(self, path: str) -> None:
        """Counts one image, once: with --again two lists may name it."""
        if path in self.paths:
            return
        self.paths.add(path)
        if samples.held_out(path):
            self.held_out += 1
        else:
            place = samples.share_of(path, "validation"), path
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
    finish_group(task, encoded, problems, images=len(by_image), kinds=kinds)


def finish_group(group: Group, encoded: dict[tuple[str, str], list[bytes]], problems: Problems, **more: Any) -> None:
    """Writes (list, split) -> records into the shards of a group, in an order by the seed, and then its report."""
    for key, path in group.outputs.items():
        order = samples.rng("records", Path(path).name, group.seed).permutation(len(encoded[key]))
        tfrecord.write(path, (encoded[key][i] for i in order))
    counts = {f"{name}-{split}": len(records) for (name, split), records in encoded.items()}
    step.write_json(group.done, {"counts": counts, "problems": asdict(problems), **more})


def reports(groups: Sequence[Group]) -> tuple[list[dict[str, Any]], Counter, Problems, list[Path]]:
    """Finished groups -> their reports, the records of each list and split, the problems, and the reports of groups
    that met one, which a later run does again."""
    found, counts, problems = [step.read_json(group.done) for group in groups], Counter(), Problems()
    for report in found:
        counts.update(report["counts"])
        problems.extend(Problems(**report["problems"]))
    return found, counts, problems, [g.done for g, report in zip(groups, found) if report["problems"]["count"]]


def shards_for(records: int, side: int) -> int:
    """How many shards hold so many images of side x side px."""
    return min(max(-(-records * side * side * 3 // SHARD_BYTES), MIN_SHARDS), MAX_SHARDS)


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
    count = shards_for(samples_in, size)
    groups = [run.part(f"group-{i:05d}.tsv") for i in range(count)]
    sizes, kinds = scatter(lists, groups)
    held_out = frozenset(path for images in kinds.values() for path in images.chosen())
    names = {(path.stem, split): [shard_name(path.stem, split, i, count) for i in range(count)]
             for path in lists for split in SPLITS}        # lists of one name go into the same shards
    target = storage.join(run.parts, place)
    tasks = [Task({key: storage.join(target, n[i]) for key, n in names.items()}, group.with_suffix(".json"), args.data,
                  args.seed, group, size, held_out) for i, group in enumerate(groups)]
    for _ in workers.run(write_group, tasks, args.workers, run.name, sizes, "record"):
        pass
    done, counts, problems, incomplete = reports(tasks)
    image_count, by_kind = sum(report["images"] for report in done), Counter()
    for report in done:
        by_kind.update(report["kinds"])
    problems.report(image_count, "images", args.data, incomplete)
    report = {"size": size, "samples": samples_in, "images": image_count, "skipped": problems.count,
              "place": place, "kinds": by_kind, "counts": counts,
              "held_out": {kind: {"images": images.count, "held_out": images.held_out + sum(
                  path in held_out for _, path in images.following)} for kind, images in kinds.items()},
              "shards": {f"{name}-{split}": files for (name, split), files in names.items()}}
    return run.finish([f"{place}/{name}" for files in names.values() for name in files], report)
