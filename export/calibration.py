"""Real inputs of the nets, to set the number ranges of int8 exports and to compare nets on."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from config import CASCADE, MIN_FACE_SIZE, MIN_SHARDS, PNET, PYRAMID_FACTOR, STAGES, Stage
from detection import Detector, UserError
from detection import boxes as bx
from detection import images as im

SAMPLES = 400            # crops of R-Net and O-Net: enough that the ranges stop moving
WINDOWS = 100            # for runtimes that take one of them a call, and time


def spread(items: list, count: int) -> list:
    """At most `count` of the items, evenly spaced."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))]


def windows(seen: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    """Inputs of a net, uint8 (N, H, W, 3) each -> at most WINDOWS of its own size, spread over them."""
    cut = [batch[:, y:y + size, x:x + size] for batch in seen for y in range(0, batch.shape[1] - size + 1, size)
           for x in range(0, batch.shape[2] - size + 1, size)]
    return spread(cut, WINDOWS)


def from_images(paths: Sequence[Path], model: Path) -> dict[int, list[np.ndarray]]:
    """Image files, folder of weights -> {size of a net: its inputs on them, a list of uint8 (N, H, W, 3)}.

    P-Net's are the levels of the image pyramid, one per entry; R-Net's and O-Net's the crops that the nets before them
    propose at the thresholds of mining.
    """
    if not paths:
        raise UserError("there is no image to calibrate on; name images with --images")
    detector = Detector(model, thresholds=[stage.mining_threshold for stage in CASCADE])
    seen = {size: [] for size in STAGES}
    for path in paths:
        image = im.read(path)
        sizes = im.level_sizes(*image.shape[:2], MIN_FACE_SIZE, PNET.size, PYRAMID_FACTOR)
        seen[PNET.size] += [im.resize(image, width, height)[None] for width, height in sizes]
        for stage, faces in zip(CASCADE[1:], detector.trace(image)):
            seen[stage.size] += list(im.crop(image, bx.windows(faces.boxes), stage.size)[:, None])
    return {size: inputs if size == PNET.size else spread(inputs, SAMPLES) for size, inputs in seen.items()}


def from_records(work: Path) -> dict[int, list[np.ndarray]]:
    """Folder that holds <size>/records -> the same from the training samples: crops of all kinds for each net."""
    from detection.quiet_tensorflow import tf
    from preprocess.records import Records, decode
    seen = {}
    for size in STAGES:
        stored = Records(Path(work) / str(size), size)
        names = [name for name, count in stored.counts.items() if name.endswith("-train") and count]
        seen[size] = []
        for name in names:
            shards = tf.data.Dataset.from_tensor_slices(stored.files(*name.rsplit("-", 1)))
            records = shards.interleave(tf.data.TFRecordDataset, cycle_length=MIN_SHARDS).take(SAMPLES // len(names))
            with stored.named_errors():
                seen[size] += [decode(record[None], size)[0].numpy() for record in records]
    return seen


def inputs(stage: Stage, seen: Sequence[np.ndarray],
           static: tuple[int, int, int] | None = None) -> list[np.ndarray]:
    """uint8 (N, H, W, 3) each -> normalized float32, as the net takes them.

    static (height, width, crops): cut or padded with black to that height and width, or repeated to that many crops.
    """
    if not seen:
        raise UserError(f"no crops to calibrate {stage.name} on: the nets before it propose nothing in these images; "
                        "name images with faces")
    if static and stage is PNET:
        seen = [im.cut(batch[0], (0, 0, static[1], static[0]))[None] for batch in seen]
    elif static:
        seen = [np.repeat(batch, static[2], axis=0) for batch in seen]
    return [im.normalize(batch.astype(np.float32)) for batch in seen]
