"""An ablation changes what its name says and nothing else, and trains otherwise as train.py does."""
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from config import LANDMARK, MODEL, NEGATIVE, PART, POSITIVE, RNET, STAGES
from conftest import ROOT, wider_benchmark
from detection import weights
from experiments import ablation_functions
from experiments.ablation_recipes import CHANGES
from test_batches import make_records
from train import batches, loop, losses, nets
from train.recipe import standard

STANDARD = standard(RNET)
DECAY = [0.2, 0.467, 0.667]
FUNCTIONS = "experiments.ablation_functions."
CHANGED = {             # name -> the options that it changes, with their new values
    "none": {},
    "training of baseline A": {
        "augmentation.blur_share": 0, "augmentation.noise_share": 0, "augmentation.color_jitter": 0,
        "augmentation.random_erasing": 0, "augmentation.mirror_targets": FUNCTIONS + "mirror_without_offsets",
        "losses.negatives_per_positive": 1, "losses.giou": 0, "decode": FUNCTIONS + "decode_as_baseline",
        "decay_at": DECAY, "norm": FUNCTIONS + "Bias", "learning_rate": 0.02},
    "no batch normalization": {"norm": FUNCTIONS + "Bias", "learning_rate": 0.02},
    "boxes not mirrored": {"augmentation.mirror_targets": FUNCTIONS + "mirror_without_offsets"},
    "no color jitter": {"augmentation.color_jitter": 0},
    "crops through JPEG": {"decode": FUNCTIONS + "decode_jpeg"},
    "wide landmark crops": {"decode": FUNCTIONS + "decode_wide_landmark_crops"},
    "same order every epoch": {"reshuffle": False},
    "random shift, zoom and rotation": {"augmentation.move": FUNCTIONS + "move"},
    "learning rate in steps": {"decay_at": DECAY},
    "no blur and noise": {"augmentation.blur_share": 0, "augmentation.noise_share": 0},
    "no random erasing": {"augmentation.random_erasing": 0},
    "all face losses": {"losses.hard_share": 1},
    "hardest half of the face losses": {"losses.hard_share": 0.5},
    "no weight decay": {"losses.weight_decay": 0},
    "no logit adjustment": {"losses.negatives_per_positive": 1},
    "landmark samples as positives": {"losses.face": FUNCTIONS + "face_with_landmark_samples",
                                      "losses.negatives_per_positive": 1.5},
    "batches of 768": {"batch_size": 768},
    "weight averaging": {"average": 0.999},
    "label smoothing": {"losses.face": FUNCTIONS + "smoothed_face"},
    "no GIoU loss": {"losses.giou": 0},
    "four times the weight of the box loss": {"losses.weights": {"face": 1, "box": 2, "landmark": 0.5}},
    "bfloat16": {"precision": "mixed_bfloat16"},
}


def test_every_change_is_in_the_table_above():
    assert CHANGES.keys() == CHANGED.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_recorded_and_changes_nothing_else(name):
    before, after = STANDARD.options(), CHANGES[name](STANDARD).options()
    assert {key: value for key, value in after.items() if before.get(key) != value} == CHANGED[name]
    assert json.loads(json.dumps(after)) == after and before.keys() <= after.keys()


def test_changes_follow_one_another_in_any_order():
    names = ("boxes not mirrored", "no GIoU loss", "no random erasing", "crops through JPEG")
    one = other = STANDARD
    for name in names:
        one = CHANGES[name](one)
    for name in reversed(names):
        other = CHANGES[name](other)
    assert one == other and one.options() == {**STANDARD.options(), **{
        key: value for name in names for key, value in CHANGED[name].items()}}


# --- What reaches the net

@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    counts = {"positive": 40, "part": 40, "negative": 120, "landmark": 40}
    make_records(folder / "24", 24, counts, np.random.default_rng(0), shards=4)
    return folder


@pytest.fixture(scope="module")
def stored(work):
    from preprocess.records import Records
    return Records(work / "24", 24)


def first_batch(stored, recipe):
    """images, labels, offsets, points of the first batch of a training."""
    per_batch = {"positive": 16, "negative": 16, "landmark": 16}
    return [t.numpy() for t in next(iter(batches.training(stored, per_batch, recipe, 0)))]


@pytest.mark.parametrize("name, images, offsets, points", [
    ("boxes not mirrored", False, True, False), ("no color jitter", True, False, False),
    ("crops through JPEG", True, True, False), ("wide landmark crops", False, False, True),
    ("no blur and noise", True, False, False), ("no random erasing", True, False, False),
    ("random shift, zoom and rotation", True, True, True), ("training of baseline A", True, True, True)])
def test_a_change_of_the_samples_changes_these_parts_of_a_batch(stored, name, images, offsets, points):
    """The points of these records lie in the corner: only landmark samples' can be wider. Mirrored, they are at 1."""
    before, after = first_batch(stored, STANDARD), first_batch(stored, CHANGES[name](STANDARD))
    changed = [not np.array_equal(a, b) for a, b in zip(before, after)]
    assert changed == [images, False, offsets, points]


def loss(recipe):
    """Losses of one batch with every kind of sample, on outputs that are not all right."""
    labels = tf.constant([POSITIVE, NEGATIVE, PART, LANDMARK] * 4, tf.int64)
    rng = np.random.default_rng(0)
    outputs = {head: tf.constant(rng.normal(size=(16, n)), tf.float32)
               for head, n in (("face", 2), ("box", 4), ("landmark", 10))}
    values = losses.all_losses(outputs, (None, labels, tf.zeros([16, 4]), tf.zeros([16, 10])), recipe.losses)
    return {name: float(value) for name, value in values.items()}


@pytest.mark.parametrize("name, parts", [
    ("all face losses", {"face"}), ("hardest half of the face losses", {"face"}), ("no logit adjustment", {"face"}),
    ("landmark samples as positives", {"face"}), ("label smoothing", {"face"}), ("no GIoU loss", {"box"}),
    ("four times the weight of the box loss", set())])
def test_a_change_of_the_losses_changes_these_losses(name, parts):
    before, after = loss(STANDARD), loss(CHANGES[name](STANDARD))
    assert {part for part in before if before[part] != after[part]} - {"accuracy"} == parts | {"total"}


def test_moved_targets_stay_on_what_they_were_on():
    """White squares as faces, and a white dot as one point of others: both are found again at their targets."""
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

    def center(images):
        weight = images[..., 0].astype(float)
        axes = np.arange(size) + 0.5
        sums = np.stack([(weight.sum(1) * axes).sum(1), (weight.sum(2) * axes).sum(1)], axis=1)
        return sums / weight.sum((1, 2))[:, None]

    images, boxes, _ = map(np.asarray, ablation_functions.move(squares, offsets, points, seed, turn=0.0))
    first, last = boxes[:, :2] * size, (boxes[:, 2:] + 1) * size
    assert np.allclose(center(images), (first + last) / 2, atol=0.1)
    area = images[..., 0].sum((1, 2)) / 255
    assert np.allclose(area, np.prod(last - first, axis=1), rtol=0.03)
    moved = np.abs(boxes - offsets).max(1) > 1e-3
    assert 0.3 < moved.mean() < 0.7 and (images[~moved] == squares[~moved]).all()

    images, _, found = map(np.asarray, ablation_functions.move(dots, zeros, points, seed, turn=0.5))
    assert np.allclose(center(images), found[:, :2] * size, atol=0.2)
    assert (np.abs(found - points).max(1) * size > 1).mean() > 0.3


# --- What the net becomes

def two_steps(stored, recipe, folder):
    """A net after a training of one epoch of two batches, and its arrays."""
    run = loop.Training(replace(recipe, epochs=1, batch_size=96, seed=3), stored, folder, folder / "graph")
    run.run()
    return run.model, nets.arrays(run.model, RNET)


def test_changes_of_the_net_and_the_optimizer(stored, tmp_path):
    """Without batch normalization the weights are the kernels themselves. The average differs from the last weights."""
    _, plain = two_steps(stored, STANDARD, tmp_path / "plain")
    model, biased = two_steps(stored, CHANGES["no batch normalization"](STANDARD), tmp_path / "biased")
    np.testing.assert_array_equal(biased["conv1/weights"], model.get_layer("conv1").kernel.numpy())
    np.testing.assert_array_equal(biased["conv1/biases"], model.get_layer("conv1_norm").beta.numpy())
    assert biased["conv1/biases"].any()
    _, averaged = two_steps(stored, CHANGES["weight averaging"](STANDARD), tmp_path / "averaged")
    assert (averaged["conv2/weights"] != plain["conv2/weights"]).any()


def test_the_script_trains_and_measures_each_change_and_none_as_train_py(script, work, tmp_path):
    """In one process, after another change: nothing of that is left."""
    data = wider_benchmark(tmp_path / "data")
    image = data / "WIDER_val" / "images" / "0--Sky" / "astronaut.jpg"
    image.parent.mkdir(parents=True)
    shutil.copy(ROOT / "picture" / "astronaut.jpg", image)
    settings = ["--epochs", 2, "--work", work]
    done = script("experiments/ablation.py", 24, "--data", data, "--model", MODEL, *settings, "--seeds", 3, "--changes",
                  "bfloat16", "none", "--out", tmp_path / "out")
    rows = [line.split(" | ")[0] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows == ["| change", "| ---", "| bfloat16", "| none"]
    script("train/train.py", 24, *settings, "--model", tmp_path, "--graph", tmp_path, "--seed", 3)
    plain = (tmp_path / "rnet.npz").read_bytes()
    assert (tmp_path / "out" / "24-none-3" / "rnet.npz").read_bytes() == plain
    other = tmp_path / "out" / "24-bfloat16-3" / "rnet.npz"
    assert other.read_bytes() != plain and weights.read(other, STAGES[24])
