"""Step 3: balances the lists of P-Net and merges them into one.

reads    <work>/12/positive.txt, part.txt, negative.txt, landmark.txt; with --again also the lists that step 6 mined,
         <work>/24/positive.txt, part.txt, negative.txt
writes   <work>/12/imglist.txt and the manifest imglist.json
expect   positive : part : negative = 1 : 1 : 3, as many as the scarcest kind allows and at most 250,000 positives,
         each sample at most once, and at most as many landmark samples as positives

--again is for a second round: P-Net learns from its own mistakes, then mines anew.
"""
import argparse
import fileinput
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import KINDS, PNET, PNET_BASE, PNET_LANDMARKS, PNET_RATIO
from pipeline import settings as st
from pipeline import step
from preprocess import samples


def balance(counts: Mapping[str, int]) -> tuple[dict[str, int], str | None]:
    """Kind -> samples found; returns kind -> samples to take, and the kind that limits them (None: PNET_BASE does)."""
    rooms = {kind: counts[kind] // ratio for kind, ratio in PNET_RATIO.items() if counts[kind]}
    scarcest = min(rooms, key=rooms.get, default=None)
    base = min(PNET_BASE, rooms.get(scarcest, 0))
    take = {kind: min(base * ratio, counts[kind]) for kind, ratio in PNET_RATIO.items()}
    take["landmark"] = min(PNET_LANDMARKS * base, counts["landmark"]) if base else counts["landmark"]
    return take, scarcest if base < PNET_BASE else None


def merge(run: step.Step, lists: Mapping[str, list[Path]], seed: int) -> dict[str, Any]:
    """Kind -> files of its list; writes the merged list. Returns the report: samples taken and found of each kind."""
    counts = {kind: sum(map(step.count_lines, paths)) for kind, paths in lists.items()}
    take, scarcest = balance(counts)
    with open(run.part("imglist.txt"), "w", encoding="utf-8") as merged:
        for kind, paths in lists.items():
            if not paths:
                continue
            chosen = np.zeros(counts[kind], bool)
            chosen[samples.rng("imglist", kind, seed).permutation(counts[kind])[:take[kind]]] = True
            with fileinput.input(paths, encoding="utf-8") as lines:
                merged.writelines(line for line, keep in zip(lines, chosen) if keep)
    return run.finish(["imglist.txt"], {"taken": take, "found": counts, "scarcest": scarcest})


def settings() -> dict[str, Any]:
    """The values of config.py that the list depends on."""
    return st.of_config("KINDS", "PNET_BASE", "PNET_LANDMARKS", "PNET_RATIO")


def main(args: argparse.Namespace) -> None:
    """Writes the merged list, unless it is done, and prints what it holds."""
    folder = args.work / "12"
    lists = {kind: samples.list_files(args.work, 12, kind, args.again) for kind in KINDS}
    inputs = step.digests(path for paths in lists.values() for path in paths)
    run = step.Step(folder, "imglist", inputs, {"seed": args.seed}, settings(), args.force)
    report = run.finished() or merge(run, lists, args.seed)
    for kind, taken in report["taken"].items():
        print(f"{kind}: {taken:,} of {report['found'][kind]:,} samples")
        if not taken and lists[kind]:
            samples.warn_of_none(kind, PNET)
    if report["scarcest"]:
        print(f"note: the {report['scarcest']} samples are the scarcest and limit the others; "
              "more images with faces of 20 px and more give more")
    print(f"{folder / 'imglist.txt'}: {sum(report['taken'].values()):,} samples")


if __name__ == "__main__":
    arguments = step.parser(__doc__, *step.ALONE)
    arguments.add_argument("--again", action="store_true", help="add the samples that P-Net mined for R-Net")
    step.run(main, arguments)
