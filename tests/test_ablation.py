"""An ablation trains as train.py does, but for the one thing that it changes."""
import pytest

from config import RNET
from detection import weights
from test_batches import make_records


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    import numpy as np
    folder = tmp_path_factory.mktemp("work")
    counts = {"positive": 40, "part": 40, "negative": 120, "landmark": 40}
    make_records(folder / "24", 24, counts, np.random.default_rng(0), shards=4)
    return folder


EPOCHS = 2      # the last is the best, so what averaging changes, at the end, is kept


def trained(script, work, out, change):
    script("experiments/ablation.py", 24, "--work", work, "--out", out, "--epochs", EPOCHS, "--one", change, "--seed", 3)
    return (out / f"24-{change.replace(' ', '-')}-3" / "rnet.npz").read_bytes()


def test_each_change_changes_the_weights_and_none_does_not(script, work, tmp_path):
    script("train/train.py", 24, "--work", work, "--model", tmp_path, "--graph", tmp_path, "--epochs", EPOCHS, "--seed",
           3)
    plain = (tmp_path / "rnet.npz").read_bytes()
    found = {change: trained(script, work, tmp_path / "out", change) for change in
             ("none", "boxes not mirrored", "moved anew every time", "crops through JPEG", "label smoothing", "averaged weights", "no IoU loss",
              "box loss weighs four times as much", "all face losses count", "no normalisation",
              "landmark samples are faces", "as the ancestors train")}
    assert found.pop("none") == plain
    assert len({plain, *found.values()}) == 1 + len(found)
    assert weights.read(tmp_path / "out" / "24-no-IoU-loss-3" / "rnet.npz", RNET)


def test_moved_targets_stay_on_what_they_were_on():
    """White squares as faces, and a white dot as one point of others: both are found again where the targets say."""
    import numpy as np
    from experiments import ablation
    size, count = 48, 64
    rng = np.random.default_rng(0)
    begin = rng.integers(14, 20, (count, 2))
    end = begin + 14
    squares, dots = np.zeros((2, count, size, size, 3), np.uint8)
    for square, dot, (x, y), (right, bottom) in zip(squares, dots, begin, end):
        square[y:bottom, x:right] = 255
        dot[y:y + 2, x:x + 2] = 255
    offsets = np.float32(np.hstack([begin / size, end / size - 1]))
    points = np.float32(np.tile((begin + 1) / size, 5))
    zeros, seed = np.zeros_like(offsets), (1, 2)

    def centre(images):
        weight = images[..., 0].astype(float)
        axes = np.arange(size) + 0.5
        sums = np.stack([(weight.sum(1) * axes).sum(1), (weight.sum(2) * axes).sum(1)], axis=1)
        return sums / weight.sum((1, 2))[:, None]

    images, boxes, _ = map(np.asarray, ablation.move(squares, offsets, points, seed, turn=0.0))
    first, last = boxes[:, :2] * size, (boxes[:, 2:] + 1) * size
    assert np.allclose(centre(images), (first + last) / 2, atol=0.1)
    area = images[..., 0].sum((1, 2)) / 255
    assert np.allclose(area, np.prod(last - first, axis=1), rtol=0.03)
    moved = np.abs(boxes - offsets).max(1) > 1e-3
    assert 0.3 < moved.mean() < 0.7 and (images[~moved] == squares[~moved]).all()

    images, _, found = map(np.asarray, ablation.move(dots, zeros, points, seed, turn=0.5))
    assert np.allclose(centre(images), found[:, :2] * size, atol=0.2)
    assert (np.abs(found - points).max(1) * size > 1).mean() > 0.3


def test_fewer_photos_are_whole_photos(work, monkeypatch):
    """A share of the shards of each list; landmark photos are others, and held-out samples stay."""
    from preprocess import records
    from experiments import ablation
    monkeypatch.setattr(records, "Records", records.Records)
    whole = records.Records(work / "24", 24)
    ablation.fewer_photos(0.5)
    part = records.Records(work / "24", 24)
    shards = whole.files("negative", "train")
    assert 2 * len(part.files("negative", "train")) == len(shards) and len(shards) > 1
    assert {*part.files("negative", "train")} < {*shards}
    assert part.counts["negative-train"] == whole.counts["negative-train"] / 2
    for name, split in (("landmark", "train"), ("negative", "validation")):
        assert part.files(name, split) == whole.files(name, split)
        assert part.counts[f"{name}-{split}"] == whole.counts[f"{name}-{split}"]
