"""The changes of train/ablation.py that are in the lists of samples, not in the training.

Each takes lists {kind: [line]} of positives, parts and negatives, and the script's arguments, and changes the lists in
place. `write` makes them and their records once, for all seeds; the landmark list stays as it is.
"""
import dataclasses
import os
from collections import defaultdict

import numpy as np

from config import CASCADE, MINING_MIN_FACE, SEED
from detection import boxes as bx, images
from preprocess import annotations, datasets, gen_hard_example, samples
from preprocess.step import write_text


def border_not_mined(lists, args):
    """Defect of both ancestors: windows that leave the photograph are not mined, yet R-Net and O-Net meet them."""
    size = {}

    def inside(line):
        photo = samples.photo_of(line)
        if photo not in size:
            height, width = images.read(args.data / photo).shape[:2]
            size[photo] = width, height
        crop = samples.parse(line).crop
        return (bx.clip(crop[None], *size[photo])[0] == crop).all()

    lists.update({kind: list(filter(inside, lines)) for kind, lines in lists.items()})


def invalid_as_truth(lists, args):
    """Defect of both ancestors: faces that the official list marks as invalid are truth. Mines their photos again."""
    photos, _ = datasets.training(args.data)
    wrong = {}
    for photo in photos:
        usable = photo.invalid & (bx.shorter_side(photo.boxes) > 0)
        if usable.any():
            wrong[photo.path] = dataclasses.replace(photo, invalid=photo.invalid & ~usable)
    before = [stage for stage in CASCADE if stage.size < args.size]
    cascade = args.model, MINING_MIN_FACE, tuple(stage.mining_threshold for stage in before), len(before)
    draw = gen_hard_example.Draw(args.data, cascade, args.size, gen_hard_example.negatives_per_photo(photos),
                                 gen_hard_example.tries_per_face(photos), SEED)
    for kind, lines in lists.items():
        lists[kind] = [line for line in lines if samples.photo_of(line) not in wrong]
    for photo in wrong.values():
        for line in draw(photo)[0]:
            lists[samples.kind_of(line)].append(line)


def events_alike(lists, args):
    """As many negatives of each event of WIDER FACE, all together as many as before; those of some come repeatedly."""
    events = defaultdict(list)
    for line in lists["negative"]:
        events[os.path.dirname(samples.photo_of(line))].append(line)
    rng = np.random.default_rng(SEED)
    each = round(len(lists["negative"]) / len(events))
    lists["negative"] = [lines[i] for lines in events.values() for i in np.resize(rng.permutation(len(lines)), each)]


CHANGES = {
    "border windows not mined": border_not_mined,
    "invalid faces are truth": invalid_as_truth,
    "negatives of all events alike": events_alike,
}


def write(change, args, folder):
    """Writes the lists with this change to `folder`, unless they are there, for preprocess/gen_tfrecords.py."""
    done = folder / "negative.txt"      # the last
    if done.is_file():
        return
    source = args.work / str(args.size)
    lists = {kind: (source / f"{kind}.txt").read_text(encoding="utf-8").splitlines(keepends=True)
             for kind in gen_hard_example.KINDS}
    CHANGES[change](lists, args)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "landmark.txt").unlink(missing_ok=True)
    (folder / "landmark.txt").symlink_to((source / "landmark.txt").resolve())
    for kind, lines in lists.items():
        write_text(folder / f"{kind}.txt", "".join(lines))
        print(f"{folder / kind}.txt: {len(lines):,} samples")
