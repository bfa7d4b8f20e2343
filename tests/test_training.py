"""The training loop on records of random crops: what it must do whatever it learns."""
import csv

import numpy as np
import pytest
import tensorflow as tf

from config import PNET, RNET
from detection import weights
from detection.errors import UserError
from test_batches import make_records
from train import batches, loop, nets


@pytest.fixture(autouse=True)
def deterministic():
    tf.keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()


def records_in(folder):
    return make_records(folder, 24, {"positive": 60, "part": 60, "negative": 200, "landmark": 64},
                        np.random.default_rng(7))


@pytest.fixture
def stored(tmp_path):
    return records_in(tmp_path)


def training(stored, folder, epochs=2, **options):
    parts = batches.composition(RNET, stored.counts, 96)
    options = {"rate": 0.001, "seed": 5, "graph": folder / "graph", **options}
    return loop.Training(RNET, stored, parts, folder, epochs, **options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """undisturbed(epochs) -> (folder, history) of a training that nothing stopped; each runs once and is only read."""
    runs = {}

    def run(epochs):
        if epochs not in runs:
            folder = tmp_path_factory.mktemp("undisturbed")
            runs[epochs] = folder, training(records_in(folder / "data"), folder, epochs).run()
        return runs[epochs]
    return run


class Stopped(Exception):
    """Stands for a kill."""


def test_resuming_at_any_batch_equals_no_interruption(tmp_path, stored, undisturbed, monkeypatch):
    whole, history = undisturbed(2)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)            # a checkpoint after every batch
    folder, stops = tmp_path / "stopped", iter([1, 3, 2, 1, 10 ** 6])
    for stop in stops:
        part = training(stored, folder)
        save, saved = part._save, []

        def save_and_stop():
            save()
            saved.append(1)
            if len(saved) == stop:
                raise Stopped
        monkeypatch.setattr(part, "_save", save_and_stop)
        try:
            assert part.run() == history
        except Stopped:
            continue
    for name in ("best.npz", "log.csv", "checkpoint.npz"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_stop_right_after_the_last_checkpoint_loses_no_row_of_the_log(tmp_path, stored, undisturbed, monkeypatch):
    part = training(stored, tmp_path / "stopped", epochs=1)
    save = part._save

    def save_and_stop():
        save()
        raise Stopped
    monkeypatch.setattr(part, "_save", save_and_stop)
    with pytest.raises(Stopped):
        part.run()
    training(stored, tmp_path / "stopped", epochs=1).run()
    assert (tmp_path / "stopped" / "log.csv").read_bytes() == (undisturbed(1)[0] / "log.csv").read_bytes()


def test_the_seed_decides_the_run(tmp_path, stored, undisturbed):
    same, other = (training(stored, tmp_path / str(seed), epochs=1, seed=seed).run() for seed in (5, 2))
    assert undisturbed(1)[1] == same != other


def test_logs(undisturbed):
    folder, history = undisturbed(2)
    with open(folder / "log.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert float(rows[1]["validation_total"]) == history[1]["validation_total"]
    events = [event for path in (folder / "graph").iterdir()
              for event in tf.compat.v1.train.summary_iterator(str(path))]
    seen = {(value.tag, event.step) for event in events for value in event.summary.value}
    assert ("validation_total", 2) in seen and ("total", 1) in seen


def test_best_weights_are_those_of_the_lowest_validation_loss(tmp_path, stored):
    run = training(stored, tmp_path / "t", epochs=3, rate=0.01)
    history = run.run()
    best = min(history, key=lambda row: row["validation_total"])
    nets.assign(run.model, RNET, weights.read(tmp_path / "t" / "best.npz", RNET))
    np.testing.assert_allclose(run.validate()["total"], best["validation_total"], rtol=1e-5)


def test_starts_from_given_weights(tmp_path, stored):
    start = nets.arrays(nets.build(RNET, 77), RNET)
    run = training(stored, tmp_path / "t", initial=start)
    for name, array in nets.arrays(run.model, RNET).items():
        np.testing.assert_allclose(array, start[name], rtol=1e-4, atol=1e-6)


def test_weights_to_start_from_survive_the_first_batch(tmp_path, stored):
    """A normalisation uses the batch's own statistics while training, and still gives what the weights give."""
    run = training(stored, tmp_path / "t", initial=nets.arrays(nets.build(RNET, 77), RNET))
    images = next(iter(run._batches(0, 0)))[0]
    predicting, learning = (nets.flat(run.model(images, training=mode)) for mode in (False, True))
    for head, values in predicting.items():
        np.testing.assert_allclose(learning[head], values, rtol=1e-3, atol=1e-4)


def test_an_exploding_loss_is_told(tmp_path, stored):
    with pytest.raises(UserError, match="smaller --learning-rate"):
        training(stored, tmp_path / "t", rate=1e6).run()


def test_trains_without_landmarks_and_without_validation(tmp_path, rng):
    stored = make_records(tmp_path, 12, {"imglist": 50}, rng)
    stored.counts["imglist-validation"] = 0
    run = loop.Training(PNET, stored, {"imglist": 10}, tmp_path / "t", 1, 0.001, 0, tmp_path / "graph")
    row, = run.run()
    assert np.isfinite(row["total"]) and row["landmark"] == 0 and "validation_total" not in row


def test_learning_rate_falls_at_the_ancestors_epochs():
    rate = loop.schedule(0.001, 30 * 10, decay_at=(6 / 30, 14 / 30, 20 / 30))
    rates = [float(rate(step)) for step in range(300)]
    assert [step for step in range(1, 300) if rates[step] < rates[step - 1] * 0.5] == [60, 140, 200]
    np.testing.assert_allclose([rates[0], rates[-1]], [1e-3, 1e-6], rtol=1e-5)


def test_learning_rate_rises_shortly_and_falls_to_nothing():
    rate = loop.schedule(0.002, 1000)
    rates = np.array([float(rate(step)) for step in range(1000)])
    assert rates[0] == 0 and rates.argmax() == 50 and rates[-1] < 1e-6
    np.testing.assert_allclose(rates[[50, 525]], [0.002, 0.001], rtol=1e-3)
    assert (np.diff(rates[50:]) < 0).all()


def test_a_training_of_one_single_batch_runs(tmp_path, stored):
    stored.counts = {name: 1 if name.endswith("train") else count for name, count in stored.counts.items()}
    run = training(stored, tmp_path / "t", epochs=1)
    assert run.steps == 1 and len(run.run()) == 1


def test_learns_to_tell_bright_from_dark(tmp_path, rng):
    """A task that R-Net must master in a few steps: bright crops are faces."""
    from preprocess import records
    from pipeline import settings as st
    from pipeline.step import write_json
    (tmp_path / "records").mkdir()
    report, outputs = {"size": 24, "counts": {}, "shards": {}}, {}
    for name, label, level in (("positive", 1, 200), ("negative", 0, 40)):
        for split in ("train", "validation"):
            path = tmp_path / "records" / f"{name}-{split}.tfrecord"
            crops = rng.integers(level - 30, level + 30, (64, 24, 24, 3), dtype=np.uint8)
            records.write(path, [records.encode(crop, label, np.zeros(4), np.zeros(10)) for crop in crops])
            report["counts"][f"{name}-{split}"], report["shards"][f"{name}-{split}"] = 64, [path.name]
            outputs[f"records/{path.name}"] = path.stat().st_size
    for name in ("part", "landmark"):
        report["counts"] |= {f"{name}-train": 0, f"{name}-validation": 0}
    write_json(tmp_path / "records.json", {"depends": {"settings": st.of_config("POINTS", "MIRROR_ORDER")}, 
                                           "outputs": outputs, "report": report})
    history = training(records.Records(tmp_path, 24), tmp_path / "t", epochs=8, rate=0.01).run()
    assert history[-1]["validation_accuracy"] > 0.95
