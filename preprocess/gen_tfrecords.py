"""Steps 4, 8 and 12: cuts the crops of the lists out of their images and writes them as TFRecords.

reads    12: <work>/12/imglist.txt; 24 and 48: <work>/<size>/positive.txt, part.txt, negative.txt, landmark.txt;
         the images below <data>
writes   <work>/<size>/records/<list>-<train|validation>-<i>-of-<n>.tfrecord, or where --records says, and the manifest
         records.json
expect   432, 1,728 or 6,912 bytes of pixels per record and about 170 bytes besides

An image and all its samples belong to one group of shards, by its path, so it is decoded once. The samples of a shard
are shuffled with the seed. The images held out for validation (5 %, by path, more where there are few images) go to
other shards.
"""
import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import HELD_OUT_LEAST, SHORT_SHARE, STAGES, Stage
from detection.errors import UserError
from pipeline import settings as st
from pipeline import step, storage
from preprocess import samples, shards


def settings(net: Stage) -> dict[str, Any]:
    """The values of config.py that the records depend on."""
    return {**st.of_config("HEADS", "HELD_OUT_LEAST", "HELD_OUT_MOST", "HELD_OUT_SHARE", "KINDS", "MAX_SHARDS",
                           "MIN_SHARDS", "MIRROR_ORDER", "POINTS", "SHARD_BYTES"), **st.of_stage(net, "size")}


def main(args: argparse.Namespace) -> None:
    """Writes the records of one size, unless they are done, and prints what they hold."""
    folder = args.work / str(args.size)
    if args.again and args.size != 24:
        raise UserError("--again is for 24; for 12 it is an option of gen_imglist_pnet.py, and O-Net mines for no net")
    lists = [path for name in STAGES[args.size].batch
             for path in samples.list_files(args.work, args.size, name, args.again)]
    place, options = "records", {"seed": args.seed, "size": args.size}
    if args.records:
        place = storage.join(storage.absolute(args.records), str(args.size))
        options["records"] = str(place)
    run = step.Step(folder, "records", step.digests(lists), options, settings(STAGES[args.size]), args.force)
    report = run.finished() or shards.write(run, lists, str(place), args)
    for name, count in report["counts"].items():
        prefix = storage.join(storage.join(folder, place), name)
        print(f"{prefix}-*.tfrecord: {count:,} records in {len(report['shards'][name])} shards")
    print(f"{sum(report['counts'].values()):,} records of {report['samples']:,} samples")
    report_held_out(report)
    for name in STAGES[args.size].batch:
        if f"{name}-train" in report["counts"]:        # not where the net is trained without landmarks
            warn_if_short(name, report["counts"], STAGES[args.size])


def report_held_out(report: Mapping[str, Any]) -> None:
    """Says how many images of each kind are held out where they are few."""
    for kind, images in report["held_out"].items():
        if not images["held_out"]:
            print(f"warning: none of the {images['images']} images with {kind} samples is held out, as they are too few"
                  "; validation says nothing about that kind, so the epoch with the lowest training loss will be kept")
        elif images["held_out"] <= HELD_OUT_LEAST:
            print(f"note: only {images['held_out']} of {images['images']} images with {kind} samples are held out, so "
                  "the validation losses are rough")


def warn_if_short(name: str, counts: Mapping[str, int], stage: Stage) -> None:
    """Prints a warning where a list has far fewer samples than its share of the batch asks for."""
    total = sum(counts.get(f"{other}-train", 0) for other in stage.batch)
    fair = total * stage.batch[name] / sum(stage.batch.values())
    if not counts[f"{name}-train"]:
        samples.warn_of_none(name, stage)
    elif counts[f"{name}-train"] < SHORT_SHARE * fair:
        print(f"warning: only {counts[f'{name}-train']:,} {name} samples where a balanced set of this size has "
              f"{fair:,.0f}; they will be repeated often. Add images, or mine with a net that recalls more")


if __name__ == "__main__":
    arguments = step.parser(__doc__, *step.EVERY)
    arguments.add_argument("size", type=int, choices=STAGES, help="of the net, px")
    arguments.add_argument("--again", action="store_true",
                           help="24 only: add the samples that R-Net mined for O-Net, for a second round of R-Net")
    arguments.add_argument("--records", metavar="PLACE",
                           help="write the shards here, in one folder per size: a folder, or an address that "
                                "tf.io.gfile opens, such as gs://bucket/mtcnn (default: <work>)")
    step.run(main, arguments)
