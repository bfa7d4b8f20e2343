"""What WIDER FACE's evaluation files say of val: every face, and which of them the easy, medium and hard set count."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection import UserError

SETS = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Truth:
    """One image. boxes: all its faces (M, 4) px. counted: set -> (M,) bool."""
    boxes: np.ndarray
    counted: dict


def read_truth(folder: Path) -> dict[str, Truth]:
    """The four .mat files -> {event/image, without .jpg: Truth}, in the official order."""
    files = {name: _mat(folder / f"wider_{name}_val.mat") for name in ("face", *SETS)}
    try:
        truth = {}
        for e, (event,) in enumerate(files["face"]["event_list"][:, 0]):
            for i, (image,) in enumerate(files["face"]["file_list"][e, 0][:, 0]):
                corner, side = np.hsplit(files["face"]["face_bbx_list"][e, 0][i, 0].astype(float), 2)
                counted = {name: np.isin(np.arange(len(corner)) + 1, files[name]["gt_list"][e, 0][i, 0])
                           for name in SETS}                                         # gt_list counts from 1
                truth[f"{event}/{image}"] = Truth(np.hstack([corner, corner + side]), counted)
        return truth
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{folder}: the .mat files in it are not the four of WIDER FACE val ({error!r}); take them "
                        "from eval_tools.zip of the benchmark's site") from None


def _mat(path):
    from scipy.io import loadmat
    try:
        return loadmat(path)
    except (OSError, ValueError, NotImplementedError) as error:
        reason = f"cannot be read ({error})" if path.is_file() else "is not there"
        raise UserError(f"{path}: {reason}; it comes with eval_tools.zip of the benchmark's site, and --truth names "
                        "another folder") from None
