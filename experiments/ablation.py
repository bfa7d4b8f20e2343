"""What is each part of the recipe worth? Trains one net with one change at a time and measures each on WIDER FACE.

reads    <work>/<size>/records; the two other nets in <model>; what evaluate/wider.py reads in <data>; for changes
         of the lists also <work>/<size>/*.txt and the images below <data>
writes   <out>/<size>-<change>-<seed>/: weights and wider.json; <out>/<size>-<change>/: the lists and records of a
         change of the lists; prints the mean AP of each change as a Markdown table

A finished training is skipped, so changes and seeds can be added later. Changes of the training are in
experiments/ablation_recipes.py, changes of the lists in experiments/ablation_lists.py; where a change brings back a
defect of the baselines its docstring says so. The trainings run one after the other: two at once would share the cores.

With --images, for a learning curve, the samples come from a share of the WIDER FACE images. An epoch is that much
shorter, so multiply the epochs by the inverse.

    python experiments/ablation.py 24 --data DATA --work WORK --epochs 2 --seeds 0 1
    python experiments/ablation.py 24 --data DATA --work WORK --epochs 8 --changes none --images 0.25
"""
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import CASCADE, OUTPUT, ROOT, STAGES
from detection.errors import UserError
from evaluate import benchmark, wider_truth
from experiments import ablation_lists, ablation_recipes
from pipeline import step, tables
from train.train import train

CHANGES = (*ablation_recipes.CHANGES, *ablation_lists.CHANGES)


def folder(args, change, seed=None):
    """Folder of a training and its figures; without a seed, of the lists and records of a change of the lists."""
    share = "" if args.images == 1 or seed is None else f"-{args.images:g}"
    return args.out / (f"{args.size}-{change.replace(' ', '-')}{share}" + ("" if seed is None else f"-{seed}"))


def recipe_of(args, change, seed):
    """The recipe of a training: the stage's own with this seed and number of epochs, changed. A change of the lists
    leaves it as it is."""
    from train.recipe import standard
    recipe = replace(standard(STAGES[args.size]), epochs=args.epochs, seed=seed, image_share=args.images)
    return ablation_recipes.CHANGES.get(change, ablation_recipes.unchanged)(recipe)


def records_of(args, change):
    """The work folder with the records that a change is trained on; those of a change of the lists are made there."""
    if change not in ablation_lists.CHANGES:
        return args.work
    work = folder(args, change)
    ablation_lists.write(change, args, work / str(args.size))
    run("preprocess/gen_tfrecords.py", args.size, "--data", args.data, "--work", work)
    return work


def measure(args, change, seed):
    """Trains with this change and seed, unless that is done, and measures -> [AP of each set]."""
    from preprocess.records import Records
    out = folder(args, change, seed)
    stored = Records(records_of(args, change) / str(args.size), args.size)
    train(recipe_of(args, change, seed), stored, out / str(args.size), out, out / "graph")
    for other in CASCADE:
        if other.size != args.size:
            shutil.copyfile(args.model / f"{other.name}.npz", out / f"{other.name}.npz")
    result = out / "wider.json"
    run("evaluate/wider.py", "--data", args.data, "--model", out, "--out", out / "wider", "--json", result)
    return benchmark.aps(json.loads(result.read_text())["sets"])


def run(script, *words):
    """Runs a script of the project; ends with its exit code where it fails."""
    done = subprocess.run([sys.executable, str(ROOT / script), *map(str, words)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main(args):
    if not 0 < args.images <= 1:
        raise UserError(f"--images must be more than 0 and at most 1, not {args.images:g}")
    measured = {change: [measure(args, change, seed) for seed in args.seeds] for change in args.changes}
    spread = ["spread"] if len(args.seeds) > 1 else []
    print(tables.markdown(["change", *wider_truth.SETS, *spread], [
        [change, *np.mean(values, axis=0), *(np.ptp(values, axis=0).max() for _ in spread)]
        for change, values in measured.items()]))


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    arguments.add_argument("size", type=int, choices=STAGES, help="input size of the net that is trained, px")
    group = arguments.add_argument_group("ablation")
    group.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES), metavar="NAME",
                       help="of " + "; ".join(CHANGES) + " (default: all)")
    group.add_argument("--seeds", nargs="+", type=int, default=[0, 1], metavar="N", help="default: 0 1")
    group.add_argument("--epochs", type=int, default=2, metavar="N", help="of each training (default: 2)")
    group.add_argument("--images", type=float, default=1, metavar="SHARE",
                       help="share of the WIDER FACE images to train on, more than 0 (default: 1)")
    group.add_argument("--out", type=Path, default=OUTPUT / "ablation", metavar="DIR",
                       help="gets one folder per training (default: output/ablation)")
    step.run(main, arguments)
