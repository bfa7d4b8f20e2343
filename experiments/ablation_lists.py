"""The changes of the lists of samples that experiments/ablation.py measures.

Each takes lists {kind: [line]} of positives, parts and negatives, and the script's arguments, and changes the lists in
place. `write` makes them once, for all seeds; the landmark list stays unchanged.
"""
import dataclasses
import os
from collections import defaultdict

import numpy as np

from config import KINDS, POSITIVE_IOU, SEED, STAGES
from detection import UserError, images
from detection import boxes as bx
from pipeline import settings as st
from pipeline.step import Step, digests, read_manifest, write_text
from preprocess import gen_hard_example, samples
from preprocess import lists as list_steps
from preprocess.labels import sets


def border_not_mined(lists, args):
    """Defect of both baselines: windows that leave the image are not mined, yet R-Net and O-Net get them."""
    size = {}

    def inside(line):
        path = samples.path_of(line)
        if path not in size:
            height, width = images.read(args.data / path).shape[:2]
            size[path] = width, height
        crop = samples.parse(line).crop
        return (bx.clip(crop[None], *size[path])[0] == crop).all()

    lists.update({kind: list(filter(inside, lines)) for kind, lines in lists.items()})


def invalid_as_truth(lists, args):
    """Defect of both baselines: faces that the official list marks as invalid are truth. Mines their images again, with
    the options in mined.json."""
    manifest = args.work / str(args.size) / "mined.json"
    mined = read_manifest(manifest)
    if mined is None:
        raise UserError(f"{manifest}: does not say how the lists were mined; mine them again (gen_hard_example.py)")
    how = mined["depends"]["options"]
    annotated, _ = sets.training(args.data)
    wrong = {}
    for image in annotated:
        usable = image.invalid & (bx.shorter_side(image.boxes) > 0)
        if usable.any():
            wrong[image.path] = dataclasses.replace(image, invalid=image.invalid & ~usable)
    cascade = args.model, how["min_face"], tuple(how["thresholds"]), len(how["thresholds"])
    sampler = gen_hard_example.Sampler(args.data, cascade, args.size, gen_hard_example.negatives_per_image(annotated),
                                       gen_hard_example.tries_per_face(annotated), how["seed"])
    for kind, lines in lists.items():
        lists[kind] = [line for line in lines if samples.path_of(line) not in wrong]
    for image in wrong.values():
        for line in sampler(image)[0]:
            lists[samples.kind_of(line)].append(line)


def equal_events(lists, args):
    """The same number of negatives from each event of WIDER FACE, as many in all as before; some are repeated."""
    events = defaultdict(list)
    for line in lists["negative"]:
        events[os.path.dirname(samples.path_of(line))].append(line)
    rng = np.random.default_rng(SEED)
    each = round(len(lists["negative"]) / len(events))
    lists["negative"] = [lines[i] for lines in events.values() for i in np.resize(rng.permutation(len(lines)), each)]


def sampled_with_replacement(lists, args):
    """Defect of both baselines, in P-Net's list: some samples are repeated, over a third are missing."""
    rng = np.random.default_rng(SEED)
    for kind, lines in lists.items():
        lists[kind] = [lines[i] for i in np.sort(rng.integers(len(lines), size=len(lines)))]


def near_parts_only(lists, args, part_iou=0.4):
    """As in [paper]: parts have an IoU of at least 0.4 with the face's square."""
    lists["part"] = [line for line in lists["part"] if overlap(line, bx.square)[0] >= part_iou]


def labeled_by_boxes(lists, args):
    """As in [paper]: the IoU that labels positives and parts is with the face's box, not with its square."""
    overlaps = [(line, *overlap(line, lambda face: face)) for kind in ("positive", "part") for line in lists[kind]]
    for kind, low, high in (("positive", POSITIVE_IOU, 2), ("part", STAGES[args.size].part_iou, POSITIVE_IOU)):
        lists[kind] = [line.replace(f"\t{label}\t", f"\t{KINDS[kind]}\t", 1) for line, iou, label in overlaps
                       if low <= iou < high]


def overlap(line, shape):
    """Line of a positive or part -> IoU of its crop with `shape` (boxes (1, 4)) of its face, its label."""
    sample = samples.parse(line)
    crop = sample.crop[None].astype(np.float32)
    return float(bx.iou(crop, shape(bx.decode(sample.offsets[None], crop)))[0, 0]), sample.label


CHANGES = {
    "parts from an IoU of 0.4": near_parts_only,
    "labels by the faces' own boxes": labeled_by_boxes,
    "border windows not mined": border_not_mined,
    "invalid faces as truth": invalid_as_truth,
    "equal negatives per event": equal_events,
    "sampled with replacement": sampled_with_replacement,
}


def settings(stage):
    """The values of config.py that the changed lists depend on."""
    return {**st.of_config("KINDS", "POSITIVE_IOU", "SEED"), **st.of_stage(stage, "part_iou")}


def write(change, args, folder):
    """Writes the lists with this change to `folder`, unless that is done, for preprocess/gen_tfrecords.py."""
    source, kinds = args.work / str(args.size), gen_hard_example.KINDS
    paths = [source / f"{kind}.txt" for kind in kinds]
    run = Step(folder, "changed", digests(paths), {"change": change}, settings(STAGES[args.size]))
    report = run.finished()
    if report is None:
        lists = {kind: path.read_text(encoding="utf-8").splitlines(keepends=True) for kind, path in zip(kinds, paths)}
        CHANGES[change](lists, args)
        for kind, lines in lists.items():
            write_text(run.part(f"{kind}.txt"), "".join(lines))
        report = run.finish([path.name for path in paths], {kind: len(lines) for kind, lines in lists.items()})
    list_steps.announce(report, kinds, folder)
    link = folder / "landmark.txt"
    if not link.is_symlink():
        link.symlink_to((source / link.name).resolve())
