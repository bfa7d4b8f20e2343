"""The cascade up to some net, as mining and evaluating run it: its options, its files, one detector a process.

Where there is a GPU, the nets run there.
"""
from functools import lru_cache

from config import CASCADE
from detection import Detector, UserError
from detection.engines import tensorflow_gpu


def add_arguments(group, field, min_face):
    """Adds --thresholds (defaults: `field` of the stages) and --min-face to an argparse group."""
    defaults = ", ".join(f"{getattr(stage, field)} for {stage.name}" for stage in CASCADE)
    group.add_argument("--thresholds", type=float, nargs="+", metavar="T",
                       help=f"of the face score after each net that runs (default: {defaults})")
    group.add_argument("--min-face", type=float, default=min_face, metavar="PX",
                       help=f"smallest face looked for (default: {min_face})")


def options(args, field):
    """Parsed arguments -> what `detector` takes; UserError, before any work, where a file or a number is wrong."""
    stages = [stage.size for stage in CASCADE].index(args.size) + 1
    thresholds = args.thresholds or [getattr(stage, field) for stage in CASCADE[:stages]]
    if len(thresholds) != stages:
        raise UserError(f"--thresholds takes {stages} numbers for {args.size}, one a net, not {len(thresholds)}")
    chosen = (args.model, args.min_face, tuple(thresholds), stages)
    try:
        detector(*chosen)
    except ValueError as error:
        raise UserError(str(error)) from None
    return chosen


@lru_cache(maxsize=1)
def detector(model, min_face, thresholds, stages, load=None):
    """The detector of this process, made when it is first asked for. load: folder -> nets, where it holds no .npz."""
    nets = load(model) if load else tensorflow_gpu.nets(model, stages)
    return Detector(nets or model, min_face, thresholds, stages=stages)
