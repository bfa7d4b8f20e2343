"""Step 3: balances the lists of P-Net and merges them into one.

reads    <work>/12/positive.txt, part.txt, negative.txt, landmark.txt; with --again also those that step 6 mined,
         <work>/24/positive.txt, part.txt, negative.txt
writes   <work>/12/imglist.txt and the manifest imglist.json
expect   positive : part : negative = 1 : 1 : 3, as many as the scarcest kind allows and at most 250,000 positives,
         each sample at most once, and at most as many landmark samples as positives

--again is for a second round: P-Net learns from its own mistakes, then mines anew.
"""
import fileinput
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from config import KINDS, PNET, PNET_BASE, PNET_LANDMARKS, PNET_RATIO  # noqa: E402
from preprocess import samples  # noqa: E402
from pipeline import settings as st, step  # noqa: E402


def balance(counts):
    """Samples there are of each kind -> samples to take, and the kind that limits them (None: PNET_BASE does)."""
    rooms = {kind: counts[kind] // ratio for kind, ratio in PNET_RATIO.items() if counts[kind]}
    scarcest = min(rooms, key=rooms.get, default=None)
    base = min(PNET_BASE, rooms.get(scarcest, 0))
    take = {kind: min(base * ratio, counts[kind]) for kind, ratio in PNET_RATIO.items()}
    take["landmark"] = min(PNET_LANDMARKS * base, counts["landmark"]) if base else counts["landmark"]
    return take, scarcest if base < PNET_BASE else None


def settings() -> dict:
    """The values of config.py that the list depends on."""
    return st.of_config("KINDS", "PNET_BASE", "PNET_LANDMARKS", "PNET_RATIO")


def main(args):
    folder = args.work / "12"
    lists = {kind: samples.lists(args.work, 12, kind, args.again) for kind in KINDS}
    run = step.Step(folder, "imglist", step.digests(sum(lists.values(), [])), {"seed": args.seed}, settings(),
                    args.force)
    report = run.finished()
    if report is None:
        counts = {kind: sum(map(step.count_lines, paths)) for kind, paths in lists.items()}
        take, scarcest = balance(counts)
        with open(run.part("imglist.txt"), "w", encoding="utf-8") as merged:
            for kind, paths in lists.items():
                chosen = np.zeros(counts[kind], bool)
                chosen[samples.rng("imglist", kind, args.seed).permutation(counts[kind])[:take[kind]]] = True
                with fileinput.input(paths, encoding="utf-8") as lines:
                    merged.writelines(line for line, keep in zip(lines, chosen) if keep)
        report = run.finish(["imglist.txt"], {"taken": take, "found": counts, "scarcest": scarcest})
    for kind, taken in report["taken"].items():
        print(f"{kind}: {taken:,} of {report['found'][kind]:,} samples")
        if not taken:
            samples.warn_of_none(kind, PNET)
    if report["scarcest"]:
        print(f"note: the {report['scarcest']} samples are the scarcest and limit the others; "
              "more photos with faces of 20 px and more give more")
    print(f"{folder / 'imglist.txt'}: {sum(report['taken'].values()):,} samples")


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("--again", action="store_true", help="add the samples that P-Net mined for R-Net")
    step.run(main, arguments)
