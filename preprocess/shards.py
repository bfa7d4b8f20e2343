"""Samples -> TFRecord shards, an image and all its samples in one group of shards, so that it is decoded once."""
import argparse
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from config import LANDMARK, MAX_SHARDS, MIN_SHARDS, SHARD_BYTES
from detection import images
from detection.errors import UserError
from pipeline import step, storage, workers
from pipeline.problems import Problems
from preprocess import crops, samples

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Task:
    """One group of shards. lines: its samples, "<list><TAB><sample>" each; outputs: (list, split) -> file."""
    lines: Path
    done: Path
    outputs: dict[tuple[str, str], Path | str]
    data: Path
    size: int
    seed: int


def write_group(task: Task) -> None:
    """Writes one group of shards and its report, task.done, unless that is done. UserError for a damaged list."""
    if task.done.is_file():
        return
    from preprocess import records  # TensorFlow, only where records are written
    by_image = {}
    with open(task.lines, encoding="utf-8") as lines:
        for line in lines:
            name, line = line.split("\t", 1)
            by_image.setdefault(samples.path_of(line), []).append((name, line))
    encoded, problems, landmarks = {key: [] for key in task.outputs}, Problems(), 0
    for path in sorted(by_image):
        try:
            image = images.read(task.data / path)
        except UserError as error:
            problems.add(str(error))
            continue
        split, chosen = SPLITS[samples.held_out(path)], []
        for name, line in by_image[path]:
            try:
                chosen.append(samples.parse(line))
                crops.check(chosen[-1], image.shape)
            except ValueError as error:
                raise UserError(f"{name}.txt: `{line[:80].strip()}` is not a sample ({error}); write the list again "
                                "with --force") from None
        for (name, _), sample, pixels in zip(by_image[path], chosen, crops.cut(image, chosen, task.size)):
            landmarks += sample.label == LANDMARK
            encoded[name, split].append(records.encode(pixels, sample.label, sample.offsets, sample.points))
    for (name, split), path in task.outputs.items():
        order = samples.rng("records", Path(path).name, task.seed).permutation(len(encoded[name, split]))
        records.write(path, (encoded[name, split][i] for i in order))
    counts = {f"{name}-{split}": len(rows) for (name, split), rows in encoded.items()}
    step.write_json(task.done, {"counts": counts, "images": len(by_image), "landmarks": landmarks,
                                "problems": asdict(problems)})


def shard_name(name: str, split: str, index: int, count: int) -> str:
    """List, split, number of the shard from 0, shards -> file name."""
    return f"{name}-{split}-{index:05d}-of-{count:05d}.tfrecord"


def scatter(lists: Sequence[Path], groups: Sequence[Path]) -> list[int]:
    """Sorts the lines of the lists into the files `groups`, by image. Returns the number of lines in each.

    UserError, with its line, where a list is damaged.
    """
    sizes = [0] * len(groups)
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "w", encoding="utf-8")) for path in groups]
        for source in lists:
            with open(source, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.count("\t") != 4:
                        raise UserError(f"{source}:{number}: is not a sample; write the list again with --force")
                    group = int(samples.share_of(samples.path_of(line), "shard") * len(groups))
                    files[group].write(f"{source.stem}\t{line}")
                    sizes[group] += 1
    return sizes


def write(run: step.Step, lists: Sequence[Path], place: str, args: argparse.Namespace) -> dict[str, Any]:
    """Writes all groups of shards below `place`, a folder or an address, and the manifest; returns its report.

    args: size, px; data; seed; workers. UserError where a list is damaged or too many images cannot be read.
    """
    size = args.size
    samples_in = sum(step.count_lines(path) for path in lists)
    count = min(max(-(-samples_in * size * size * 3 // SHARD_BYTES), MIN_SHARDS), MAX_SHARDS)
    groups = [run.part(f"group-{i:05d}.tsv") for i in range(count)]
    sizes = scatter(lists, groups)
    names = {(path.stem, split): [shard_name(path.stem, split, i, count) for i in range(count)]
             for path in lists for split in SPLITS}        # lists of one name go into the same shards
    target = storage.join(run.parts, place)
    tasks = [Task(group, group.with_suffix(".json"), {key: storage.join(target, n[i]) for key, n in names.items()},
                  args.data, size, args.seed) for i, group in enumerate(groups)]
    for _ in workers.run(write_group, tasks, args.workers, run.name, sizes, "record"):
        pass
    counts, problems, image_count, landmarks, incomplete = Counter(), Problems(), 0, 0, []
    for task in tasks:
        done = step.read_json(task.done)
        counts.update(done["counts"])
        problems.extend(Problems(**done["problems"]))
        image_count += done["images"]
        landmarks += done["landmarks"]
        incomplete += [task.done] * (done["problems"]["count"] > 0)
    problems.report(image_count, "images", args.data, incomplete)
    report = {"size": size, "samples": samples_in, "images": image_count, "skipped": problems.count,
              "place": place, "landmarks": landmarks, "counts": counts,
              "shards": {f"{name}-{split}": files for (name, split), files in names.items()}}
    return run.finish([f"{place}/{name}" for files in names.values() for name in files], report)
