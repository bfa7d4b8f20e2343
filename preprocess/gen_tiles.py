"""Optional, after step 5: parts of pyramid levels of the train images, for a further training of P-Net.

reads    the images and annotations below <data>, as step 1 does
writes   <work>/12/tiles/records/<face|background>-<train|validation>-<i>-of-<n>.tfrecord and the manifest records.json
expect   about 18 tiles per image, 13 kB each

    python preprocess/gen_tiles.py
    python train/train.py 12 --tiles --init-from model/pnet.npz --model round2
    python train/average_weights.py 12 model/pnet.npz round2/pnet.npz --out model/pnet.npz

A tile has 64 px and holds whole faces, each cell of P-Net's map of it is a labeled window. "face" holds the tiles in
which a cell is a positive, "background" the others. Images held out for validation (5 %, by path) go to other shards.
"""
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import PNET, TILE, TILES_OF_BACKGROUND, TILES_OF_FACES, Stage
from detection import UserError, images
from pipeline import settings as st
from pipeline import step, storage, workers
from pipeline.problems import Problems
from preprocess import labels, samples, shards, tfrecord, tiles
from preprocess.labels import AnnotatedImage, sets

NAMES = ("face", "background")


@dataclass(frozen=True)
class Group(shards.Group):
    """The group of shards with the tiles of these images."""
    images: Sequence[AnnotatedImage]


def write_group(group: Group) -> None:
    """Writes one group of shards and its report, group.done, unless that is done."""
    if group.done.is_file():
        return
    encoded, problems = {key: [] for key in group.outputs}, Problems()
    for image in group.images:
        try:
            pixels = images.read(group.data / image.path)
            labels.require_inside(image, pixels.shape[1], pixels.shape[0])
        except UserError as error:
            problems.add(str(error))
            continue
        split = shards.SPLITS[samples.held_out(image.path)]
        for tile in tiles.of_image(image, pixels, samples.rng("tiles", image.path, group.seed)):
            name = NAMES[0] if tiles.has_positive(tile) else NAMES[1]
            encoded[name, split].append(tfrecord.encode_tile(tile.pixels, tile.faces, tile.kinds))
    shards.finish_group(group, encoded, problems)


def settings(net: Stage) -> dict[str, Any]:
    """The values of config.py that the tiles depend on."""
    return {**st.of_config("BORDER_VISIBLE", "HELD_OUT_SHARE", "KINDS", "MAX_SHARDS", "MIN_SHARDS", "MIN_TRUTH_SIZE",
                           "MIRROR_ORDER", "NEGATIVE_IOU", "PNET_BORDER", "PNET_STRIDE", "POINTS", "POSITIVE_IOU",
                           "PYRAMID_FACTOR", "SHARD_BYTES", "TILE", "TILES_OF_BACKGROUND", "TILES_OF_FACES",
                           "TILE_BORDER_CUT", "TILE_FACES", "TILE_LEVEL", "TILE_ZOOM"),
            **st.of_stage(net, "size", "part_iou")}


def main(args: Namespace) -> None:
    """Writes the tiles, unless they are done, and prints how many."""
    annotated, fingerprints = sets.training(args.data)
    run = step.Step(args.work / "12" / "tiles", "records", fingerprints, {"seed": args.seed}, settings(PNET),
                    args.force)
    report = run.finished() or write(run, annotated, args)
    for name, count in report["counts"].items():
        print(f"{run.folder / 'records' / name}-*.tfrecord: {count:,} tiles in {len(report['shards'][name])} shards")


def write(run: step.Step, annotated: Sequence[AnnotatedImage], args: Namespace) -> dict[str, Any]:
    """Writes all groups of shards and the manifest; returns its report."""
    expected = len(annotated) * (TILES_OF_FACES[0] + TILES_OF_FACES[1] + TILES_OF_BACKGROUND)
    count = shards.shards_for(expected, TILE)
    names = {(name, split): [shards.shard_name(name, split, i, count) for i in range(count)]
             for name in NAMES for split in shards.SPLITS}
    members = [[] for _ in range(count)]
    for image in annotated:
        members[int(samples.share_of(image.path, "shard") * count)].append(image)
    target = storage.join(run.parts, "records")
    groups = [Group({key: storage.join(target, files[i]) for key, files in names.items()},
                    run.part(f"group-{i:05d}.json"), args.data, args.seed, each) for i, each in enumerate(members)]
    for _ in workers.run(write_group, groups, args.workers, "tiles", [len(each) for each in members], "image"):
        pass
    _, counts, problems, incomplete = shards.reports(groups)
    problems.report(len(annotated), "images", args.data, incomplete)
    report = {"size": TILE, "images": len(annotated), "skipped": problems.count, "place": "records", "counts": counts,
              "kinds": dict(+counts),
              "shards": {f"{name}-{split}": files for (name, split), files in names.items()}}
    return run.finish([f"records/{name}" for files in names.values() for name in files], report)


if __name__ == "__main__":
    step.run(main, step.parser(__doc__, *step.EVERY))
