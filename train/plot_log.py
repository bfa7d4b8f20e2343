"""Draws the losses and the accuracy of trainings over their epochs, one row of panels per net.

reads    <work>/<size>/train/log.csv, or the log of the training that is running; or each FILE of --logs
writes   <out>, a PNG (default: output/training.png); a net trained without landmarks has no panel for them
needs    pip install -r requirements-eval.txt

Training curves are means over an epoch of augmented samples, taken while the weights change; validation curves are of
held-out samples without augmentation, with the weights at the end of the epoch. So validation may well be lower.
"""
import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import OUTPUT, STAGES
from detection import UserError
from pipeline import plots, step

PANELS = {"face": "face loss", "box": "box loss", "landmark": "landmark loss", "accuracy": "accuracy"}
PLACES = (".train.parts/train/log.csv", "train/log.csv")      # of a running training, of a finished one


def read(path: Path) -> dict[str, list[float]]:
    """log.csv -> {column: [one number per epoch]}; UserError where it is not such a file."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            epochs = [{name: float(value) for name, value in line.items()} for line in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); it is written at the end of the first epoch") \
            from None
    except (ValueError, TypeError):
        epochs = []
    if not epochs or not {"epoch", *PANELS} - {"landmark"} <= epochs[0].keys():
        raise UserError(f"{path}: is not a log.csv of train/train.py")
    return {name: [epoch[name] for epoch in epochs] for name in epochs[0]}


def row(name: str, columns: dict[str, list[float]]) -> list[tuple]:
    """Name of a net, columns of its log -> its row of panels for plots.grid."""
    def lines(quantity):
        shown = {"training": quantity, "validation": f"validation_{quantity}"}
        return {label: (columns["epoch"], columns[key]) for label, key in shown.items() if key in columns}

    last = columns["epoch"][-1] + 0.5
    return [(f"{name}: {title}", ("epoch", 0.5, last), ("", None, None), lines(quantity))
            for quantity, title in PANELS.items() if quantity in columns]


def find(work: Path) -> dict[str, Path]:
    """Work folder -> {name of the net: its log.csv}, where one exists; UserError where none does."""
    found = {stage.name: work / str(size) / place for size, stage in STAGES.items() for place in reversed(PLACES)
             if (work / str(size) / place).is_file()}       # the log of a running training, the later one, wins
    if not found:
        raise UserError(f"{work}: no {PLACES[-1]} of any net below it; train one, or name the folder with --work")
    return found


def main(args: argparse.Namespace) -> None:
    step.require("matplotlib")
    logs = {str(path): path for path in args.logs} if args.logs else find(args.work)
    plots.grid(args.out, [row(name, read(path)) for name, path in logs.items()])


if __name__ == "__main__":
    arguments = step.parser(__doc__)
    group = arguments.add_argument_group("drawing")
    group.add_argument("--logs", type=Path, nargs="+", metavar="FILE", help="these logs instead of those below <work>")
    group.add_argument("--out", type=Path, default=OUTPUT / "training.png", metavar="FILE",
                       help="where the plot is written (default: output/training.png)")
    step.run(main, arguments)
