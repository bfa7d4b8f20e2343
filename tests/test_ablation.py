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
    script("train/ablation.py", 24, "--work", work, "--out", out, "--epochs", EPOCHS, "--one", change, "--seed", 3)
    return (out / f"24-{change.replace(' ', '-')}-3" / "rnet.npz").read_bytes()


def test_each_change_changes_the_weights_and_none_does_not(script, work, tmp_path):
    script("train/train.py", 24, "--work", work, "--model", tmp_path, "--graph", tmp_path, "--epochs", EPOCHS, "--seed",
           3)
    plain = (tmp_path / "rnet.npz").read_bytes()
    found = {change: trained(script, work, tmp_path / "out", change) for change in
             ("none", "boxes not mirrored", "crops through JPEG", "label smoothing", "averaged weights", "no IoU loss",
              "box loss weighs four times as much", "all face losses count", "no normalisation",
              "landmark samples are faces", "as the ancestors train")}
    assert found.pop("none") == plain
    assert len({plain, *found.values()}) == 1 + len(found)
    assert weights.read(tmp_path / "out" / "24-no-IoU-loss-3" / "rnet.npz", RNET)


def test_fewer_photos_are_whole_photos(work, monkeypatch):
    """A share of the shards of each list; landmark photos are others, and held-out samples stay."""
    from preprocess import records
    from train import ablation
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
