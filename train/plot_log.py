"""Draws the losses and the accuracy of trainings over their epochs, a row of panels a net.

reads    <work>/<size>/train/log.csv, that of a training that still runs where there is one; or any FILE of --logs
writes   <out>, a PNG (default: output/training.png)
needs    pip install -r requirements-eval.txt

Training rows are means over an epoch of mirrored and jittered samples, taken while the weights change; validation rows
are of held-out photos as they are, with the weights at the end of the epoch. So validation may well lie below.
"""
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import OUTPUT, STAGES  # noqa: E402
from detection import UserError  # noqa: E402
from pipeline import step  # noqa: E402
from pipeline import plots  # noqa: E402

PANELS = {"face": "face loss", "box": "box loss", "landmark": "landmark loss", "accuracy": "accuracy"}
PLACES = (".train.parts/train/log.csv", "train/log.csv")      # of a running training, of a finished one


def read(path):
    """log.csv -> {column: [number an epoch]}; UserError where it is none."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            epochs = [{name: float(value) for name, value in line.items()} for line in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); it is written at the end of the first epoch") \
            from None
    except (ValueError, TypeError):
        epochs = []
    if not epochs or not {"epoch", *PANELS} <= epochs[0].keys():
        raise UserError(f"{path}: is not a log.csv of train/train.py")
    return {name: [epoch[name] for epoch in epochs] for name in epochs[0]}


def row(name, columns):
    """Name of a net, columns of its log -> its row of panels for plots.grid."""
    def lines(quantity):
        shown = {"training": quantity, "validation": f"validation_{quantity}"}
        return {label: (columns["epoch"], columns[key]) for label, key in shown.items() if key in columns}

    last = columns["epoch"][-1] + 0.5
    return [(f"{name}: {title}", ("epoch", 0.5, last), ("", None, None), lines(quantity))
            for quantity, title in PANELS.items()]


def find(work):
    """Work folder -> {name of the net: its log.csv}, of those that there are; UserError where there is none."""
    found = {stage.name: work / str(size) / place for size, stage in STAGES.items() for place in reversed(PLACES)
             if (work / str(size) / place).is_file()}       # a running training's, the later one, wins
    if not found:
        raise UserError(f"{work}: no {PLACES[-1]} of any net below it; train one, or name the folder with --work")
    return found


def main(args):
    step.require("matplotlib")
    logs = {str(path): path for path in args.logs} if args.logs else find(args.work)
    plots.grid(args.out, [row(name, read(path)) for name, path in logs.items()])


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    group = arguments.add_argument_group("drawing")
    group.add_argument("--logs", type=Path, nargs="+", metavar="FILE", help="these logs, instead of those below <work>")
    group.add_argument("--out", type=Path, default=OUTPUT / "training.png", metavar="FILE",
                       help="the picture (default: output/training.png)")
    step.run(main, arguments)
