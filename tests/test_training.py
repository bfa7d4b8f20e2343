"""The training loop on records of random crops: what it must do whatever it learns."""
import csv
from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from config import MODEL, PNET, RNET
from detection import weights
from detection.errors import UserError
from pipeline import step
from test_batches import make_records
from train import batches, loop, nets
from train import train as train_step
from train.augment import robust
from train.losses import all_losses
from train.recipe import last_round, standard


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    tf.keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("records"), np.random.default_rng(7)
    return make_records(folder, 24, {"positive": 60, "part": 60, "negative": 200, "landmark": 64}, rng)


def training(stored, folder, stage=RNET, **options):
    options = {"epochs": 3, "learning_rate": 0.01, "seed": 5, "batch_size": 96, **options}
    return loop.Training(replace(standard(stage), **options), stored, folder, folder / "graph")


@pytest.fixture(scope="module")
def whole(stored, tmp_path_factory):
    """A training without interruption: its folder, itself, its log."""
    folder = tmp_path_factory.mktemp("whole")
    run = training(stored, folder)
    return folder, run, run.run()


class Stopped(Exception):
    """Stands for a kill."""


def test_resuming_at_any_batch_equals_no_interruption(tmp_path, stored, whole, monkeypatch):
    """Also after the last checkpoint of all, when the training is over and the log is written."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)            # a checkpoint after every batch
    stops = iter([1, 3, 2, 1, "end", None])
    for stop in stops:
        part = training(stored, tmp_path)
        save, saved = part._save, []

        def save_and_stop():
            save()
            saved.append("end" if part.epoch == part.recipe.epochs else len(saved) + 1)
            if saved[-1] == stop:
                raise Stopped
        monkeypatch.setattr(part, "_save", save_and_stop)
        try:
            assert part.run() == whole[2]
        except Stopped:
            continue
    assert not saved and next(stops, None) is None, "the training was over before the last stop"
    for name in ("best.npz", "log.csv", "checkpoint.npz"):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes(), name


def test_the_seed_decides_the_run(tmp_path, stored, whole):
    """The test above ran the same seed again."""
    assert training(stored, tmp_path, seed=6).run() != whole[2]


def test_a_teacher_and_stronger_augmentation_take_part(tmp_path, stored, whole):
    """The round's net predicts what its teacher does more closely than one that starts alike without it."""
    start = whole[0] / "best.npz"
    plain = standard(RNET).augmentation
    stronger = replace(robust(plain), keep_plain=True)
    folders = [tmp_path / name for name in ("alone", "taught")]
    options = {"augmentation": robust(plain)}, {"augmentation": stronger, "teacher": start}
    runs = [training(stored, folder, epochs=1, learning_rate=0.05, init_from=start, **each)
            for folder, each in zip(folders, options)]
    for run in runs:
        assert np.isfinite(run.run()[0]["total"])
    images = next(iter(runs[0]._batches(7, 0)))[0]
    teacher = nets.both_ways(runs[1].teacher, images)["face"].numpy()
    far = [np.abs(nets.both_ways(run.model, images)["face"].numpy() - teacher).mean() for run in runs]
    assert far[1] < far[0]


def test_a_last_round_fits_scores_to_own_boxes(tmp_path, stored, whole):
    start, settings = whole[0] / "best.npz", last_round(RNET).losses
    run = training(stored, tmp_path, epochs=1, learning_rate=0.02, init_from=start, losses=settings)
    batch = next(iter(run._batches(7, 0)))

    def face_loss():
        return float(all_losses(nets.flat(run.model(batch[0], training=False)), batch, settings)["face"])

    before = face_loss()
    run.run()
    assert face_loss() < before


def test_a_step_computes_on_a_gpu_where_there_is_one(whole, stored):
    """By the kernels of TensorFlow for its operations; it runs nothing on one."""
    def allows(kernel, node):
        wanted = {limit.name: set(limit.allowed_values.list.type) for limit in kernel.constraint}
        return kernel.device_type == "GPU" and all(
            {node.attr[name].type, *node.attr[name].list.type} - {0} <= types for name, types in wanted.items())
    batch = next(iter(batches.training(stored, whole[1].per_batch, whole[1].recipe, 0)))
    graph = whole[1]._step.get_concrete_function(batch).graph.as_graph_def()
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    kernel_list = cache(kernels.get_registered_kernels_for_op)
    left = {node.op for node in nodes if node.op not in functions and not any(
        allows(kernel, node) for kernel in kernel_list(node.op).kernel)}
    axes = {"ConcatOffset", "ConcatV2", "InvertPermutation", "ListDiff", "Range"}       # of int32, computed once
    moves_nothing = {"Const", "IdentityN", "PartitionedCall", "Placeholder", "ReadVariableOp", "StatelessIf"}
    assert len(nodes) > 500 and left <= axes | moves_nothing


def test_logs(whole):
    folder, _, history = whole
    with open(folder / "log.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert float(rows[1]["validation_total"]) == history[1]["validation_total"]
    events = [event for path in (folder / "graph").iterdir()
              for event in tf.compat.v1.train.summary_iterator(str(path))]
    seen = {(value.tag, event.step) for event in events for value in event.summary.value}
    assert ("validation_total", 2) in seen and ("total", 1) in seen


def test_best_weights_are_those_of_the_lowest_validation_loss(whole):
    folder, run, history = whole
    best = min(history, key=lambda row: row["validation_total"])
    nets.assign(run.model, RNET, weights.read(folder / "best.npz", RNET))
    np.testing.assert_allclose(run.validate()["total"], best["validation_total"], rtol=1e-5)


def test_weights_to_start_from_survive_the_first_batch(tmp_path, stored):
    """A normalization uses the batch's own statistics while training, and still gives what the weights give."""
    start = nets.arrays(nets.build(RNET, 77), RNET)
    weights.write_arrays(tmp_path / "start.npz", start)
    run = training(stored, tmp_path, init_from=tmp_path / "start.npz")
    for name, array in nets.arrays(run.model, RNET).items():
        np.testing.assert_allclose(array, start[name], rtol=1e-4, atol=1e-6)
    images = next(iter(run._batches(0, 0)))[0]
    predicting, learning = (nets.flat(run.model(images, training=mode)) for mode in (False, True))
    for head, values in predicting.items():
        np.testing.assert_allclose(learning[head], values, rtol=1e-3, atol=1e-4)


def test_a_diverging_loss_is_a_user_error(tmp_path, stored):
    with pytest.raises(UserError, match="smaller --learning-rate"):
        training(stored, tmp_path, learning_rate=1e6).run()


def test_trains_without_landmarks_and_without_validation(tmp_path, rng):
    stored = make_records(tmp_path, 12, {"imglist": 50}, rng)
    stored.counts["imglist-validation"] = 0
    row, = training(stored, tmp_path / "t", PNET, epochs=1, batch_size=10).run()
    assert np.isfinite(row["total"]) and row["landmark"] == 0 and "validation_total" not in row


def test_learning_rate_falls_at_the_epochs_of_the_baselines():
    rate = loop.schedule(replace(standard(PNET), learning_rate=0.001, decay_at=(6 / 30, 14 / 30, 20 / 30)), 30 * 10)
    rates = [float(rate(step)) for step in range(300)]
    assert [step for step in range(1, 300) if rates[step] < rates[step - 1] * 0.5] == [60, 140, 200]
    np.testing.assert_allclose([rates[0], rates[-1]], [1e-3, 1e-6], rtol=1e-5)


def test_learning_rate_rises_in_the_warm_up_and_falls_to_0():
    rate = loop.schedule(replace(standard(PNET), learning_rate=0.002), 1000)
    rates = np.array([float(rate(step)) for step in range(1000)])
    assert rates[0] == 0 and rates.argmax() == 50 and rates[-1] < 1e-6
    np.testing.assert_allclose(rates[[50, 525]], [0.002, 0.001], rtol=1e-3)
    assert (np.diff(rates[50:]) < 0).all()


def test_the_moving_average_of_a_short_training_leaves_its_first_weights_behind():
    recipe = replace(standard(PNET), average=0.998)
    for steps, momentum in ((3000, 0.998), (600, 1 - 1 / 120), (10, 0.5)):
        assert loop.optimizer(recipe, steps).ema_momentum == pytest.approx(momentum)
        assert momentum ** steps < 0.01


def test_a_training_of_one_single_batch_runs(tmp_path, stored):
    few = copy(stored)
    few.counts = {name: 1 if name.endswith("train") else count for name, count in stored.counts.items()}
    run = training(few, tmp_path, epochs=1)
    assert run.steps == 1 and len(run.run()) == 1


def test_learns_to_separate_bright_from_dark(tmp_path, rng):
    """A task that R-Net must master in a few steps: bright crops are faces."""
    from pipeline import settings as st
    from pipeline.step import write_json
    from preprocess import records, tfrecord
    (tmp_path / "records").mkdir()
    report, outputs = {"size": 24, "counts": {}, "shards": {}}, {}
    for name, label, level in (("positive", 1, 200), ("negative", 0, 40)):
        for split in ("train", "validation"):
            path = tmp_path / "records" / f"{name}-{split}.tfrecord"
            crops = rng.integers(level - 30, level + 30, (64, 24, 24, 3), dtype=np.uint8)
            tfrecord.write(path, [tfrecord.encode(crop, label, np.zeros(4), np.zeros(10)) for crop in crops])
            report["counts"][f"{name}-{split}"], report["shards"][f"{name}-{split}"] = 64, [path.name]
            outputs[f"records/{path.name}"] = path.stat().st_size
    for name in ("part", "landmark"):
        report["counts"] |= {f"{name}-train": 0, f"{name}-validation": 0}
    write_json(tmp_path / "records.json", {"depends": {"settings": st.of_config("POINTS", "MIRROR_ORDER")}, 
                                           "outputs": outputs, "report": report})
    history = training(records.Records(tmp_path, 24), tmp_path / "t", epochs=8).run()
    assert history[-1]["validation_accuracy"] > 0.95


@pytest.mark.parametrize("name, value, said", [
    ("init_from", MODEL / "pnet.npz", "does not hold rnet"), ("teacher", MODEL / "pnet.npz", "does not hold rnet"),
    ("batch_size", 3, "--batch-size 3 is too small")])
def test_a_wrong_option_costs_nothing_of_an_earlier_training(stored, tmp_path, name, value, said):
    earlier = step.Step(tmp_path, "train", {}, {}, {})
    earlier.finished()
    earlier.part("best.npz").write_text("weights of hours")
    earlier.finish(["best.npz"], {})
    with pytest.raises(UserError, match=said):
        train_step.train(replace(standard(RNET), **{name: value}), stored, tmp_path, tmp_path / "model",
                         tmp_path / "graph")
    assert (tmp_path / "best.npz").is_file() and earlier.manifest.is_file()


def test_a_training_that_is_done_keeps_what_was_written_in_its_place_since(stored, tmp_path, capsys, monkeypatch):
    """Killed in front of its last lines it is not done, so that its weights still replace those of before."""
    recipe, target = replace(standard(RNET), epochs=1, batch_size=96), tmp_path / "model" / "rnet.npz"

    def train():
        train_step.train(recipe, stored, tmp_path, tmp_path / "model", tmp_path / "graph")
        return capsys.readouterr().out

    def stop(*_):
        raise Stopped
    target.parent.mkdir()
    target.write_bytes(b"of an earlier training")
    for module, name in ((train_step.shutil, "copyfile"), (step, "write_json")):
        with monkeypatch.context() as killed, pytest.raises(Stopped):
            killed.setattr(module, name, stop)
            train()
    assert "rnet.npz: epoch 1" in train()
    trained = (tmp_path / "train" / "best.npz").read_bytes()
    assert target.read_bytes() == trained
    target.write_bytes(b"with another landmark head")
    said = train()
    assert target.read_bytes() == b"with another landmark head" and "rnet.npz: epoch 1" not in said
    assert f"{target}: holds other weights than {tmp_path / 'train' / 'best.npz'}" in said
    target.unlink()
    assert "rnet.npz: epoch 1" in train() and target.read_bytes() == trained
