"""The cascade up to some net, as mining and evaluating run it: its options, its files, one detector per process.

Where there is a GPU, the nets run there.
"""
import argparse
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from config import CASCADE
from detection import Detector, UserError
from detection.engines import tensorflow_gpu

Load = Callable[[Path], list] | None        # folder -> nets, where it holds no .npz
Chosen = tuple[Path, float, tuple[float, ...], int, Load]   # folder of nets, smallest face px, thresholds, nets, load


def add_arguments(group: argparse._ArgumentGroup, field: str, min_face: float) -> None:
    """Adds --thresholds (defaults: `field` of the stages) and --min-face (default: min_face, px) to a group."""
    defaults = ", ".join(f"{getattr(stage, field)} for {stage.name}" for stage in CASCADE)
    group.add_argument("--thresholds", type=float, nargs="+", metavar="T",
                       help=f"of the face score after each net that runs (default: {defaults})")
    group.add_argument("--min-face", type=float, default=min_face, metavar="PX",
                       help=f"minimum face size (default: {min_face})")


def options(args: argparse.Namespace, field: str, exported: Path | None = None, load: Load = None) -> Chosen:
    """Parsed arguments -> what `detector` takes; UserError, before any work, where a file or a number is wrong.
    exported: the folder of other nets than those of <model>, which `load` reads."""
    stages = [stage.size for stage in CASCADE].index(args.size) + 1
    thresholds = args.thresholds or [getattr(stage, field) for stage in CASCADE[:stages]]
    if len(thresholds) != stages:
        raise UserError(f"--thresholds takes {stages} numbers for {args.size}, one per net, not {len(thresholds)}")
    chosen = (exported or args.model, args.min_face, tuple(thresholds), stages, load)
    try:
        detector(*chosen)
    except ValueError as error:
        raise UserError(str(error)) from None
    return chosen


@lru_cache(maxsize=1)
def detector(model: Path, min_face: float, thresholds: tuple[float, ...], stages: int,
             load: Load = None, mining: bool = False) -> Detector:
    """The detector of this process, made at the first call. mining: as for `Detector`.

    UserError where weights are missing or damaged; ValueError where a number is out of range.
    """
    nets = load(model) if load else tensorflow_gpu.nets(model, stages)
    return Detector(nets or model, min_face, thresholds, stages=stages, mining=mining)
