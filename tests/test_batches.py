"""Records and the batches that training takes from them."""
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from config import KINDS, ONET, PNET, RNET, TILE_BATCH
from detection.errors import UserError
from pipeline import settings as st
from pipeline.step import read_json, write_json
from preprocess import records, tfrecord
from train import batches
from train.recipe import standard


def make_records(folder, size, counts, rng, shards=3):
    """Records of `size` px: name -> number of samples; a sample's offsets are its number / 1000."""
    (folder / "records").mkdir(parents=True)
    report = {"size": size, "counts": {}, "shards": {}}
    outputs = {}
    for name, n in counts.items():
        for split, amount in (("train", n), ("validation", n // 5)):
            names = [f"{name}-{split}-{i}.tfrecord" for i in range(shards)]
            for i, shard in enumerate(names):
                rows = []
                for number in range(i, amount, shards):
                    image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                    rows.append(tfrecord.encode(image, KINDS.get(name, 1), np.full(4, number / 1000),
                                               np.full(10, 0.25)))
                tfrecord.write(folder / "records" / shard, rows)
                outputs[f"records/{shard}"] = (folder / "records" / shard).stat().st_size
            report["counts"][f"{name}-{split}"] = amount
            report["shards"][f"{name}-{split}"] = names
    write_json(folder / "records.json", {"depends": {"settings": st.of_config("POINTS", "MIRROR_ORDER")}, 
                                         "outputs": outputs, "report": report})
    return records.Records(folder, size)


@pytest.fixture
def stored(tmp_path, rng):
    return make_records(tmp_path, 24, {"positive": 90, "part": 100, "negative": 400, "landmark": 70}, rng)


def test_a_record_gives_the_sample_back(rng):
    image, offsets, points = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), rng.normal(size=4), rng.random(10)
    serialised = tfrecord.encode(image, -2, offsets, points)
    example = tf.train.Example.FromString(serialised)
    assert set(example.features.feature) == {"image/encoded", "image/label", "image/roi", "image/landmark"}
    back = records.decode(tf.constant([serialised]), 24)
    np.testing.assert_array_equal(back[0][0], image)
    assert back[1][0] == -2
    np.testing.assert_array_equal(back[2][0], offsets.astype(np.float32))
    np.testing.assert_array_equal(back[3][0], points.astype(np.float32))


@pytest.mark.parametrize("label, size", [(1, 12), (-2, 24), (0, 48)])
def test_records_are_the_bytes_that_tensorflow_writes(tmp_path, rng, label, size):
    image, offsets, points = rng.integers(0, 256, (size, size, 3), dtype=np.uint8), rng.normal(size=4), rng.random(10)
    points[7] = np.nan                                  # not labeled
    features = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                "image/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                "image/roi": tf.train.Feature(float_list=tf.train.FloatList(value=offsets)),
                "image/landmark": tf.train.Feature(float_list=tf.train.FloatList(value=points))}
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)
    assert tfrecord.encode(image, label, offsets, points) == example
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in (example, b"four", b"and more"):
            writer.write(record)
    for place in (tmp_path / "ours", f"file://{tmp_path}/ours at an address"):
        tfrecord.write(place, [example, b"four", b"and more"])
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {(tmp_path / "theirs").read_bytes()}


def test_a_shard_without_samples_is_an_empty_file_at_an_address_too(tmp_path):
    for place in (tmp_path / "here", f"file://{tmp_path}/there"):
        tfrecord.write(place, [])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"", b""]


def test_records_of_another_size_or_other_points_are_refused(tmp_path, stored):
    with pytest.raises(UserError, match="24 px crops, not 48"):
        records.Records(tmp_path, 48)
    with pytest.raises(UserError, match="gen_tfrecords.py 12"):
        records.Records(tmp_path / "nowhere", 12)
    write_json(tmp_path / "records.json", {**read_json(tmp_path / "records.json"), "depends": {
        "settings": {"POINTS": ["top", "foot"], "MIRROR_ORDER": [0, 1]}}})
    with pytest.raises(UserError, match="other points"):
        records.Records(tmp_path, 24)
    with pytest.raises(tf.errors.InvalidArgumentError):
        records.decode(tf.constant([tfrecord.encode(np.zeros((24, 24, 3), np.uint8), 0, np.zeros(4), np.zeros(10))]),
                       20)


def test_a_missing_or_short_shard_is_named(tmp_path, stored):
    shard = tmp_path / "records" / "part-train-1.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(UserError, match="part-train-1"):
        records.Records(tmp_path, 24)


def test_every_batch_has_the_exact_composition(stored):
    per_batch = batches.composition(RNET, stored.counts)
    assert per_batch == {"positive": 64, "part": 64, "negative": 192, "landmark": 64}
    for _, labels, _, _ in batches.training(stored, per_batch, standard(RNET), epoch=0).take(5):
        found = {kind: int((labels.numpy() == value).sum()) for kind, value in KINDS.items()}
        assert found == per_batch


def test_composition_scales_and_leaves_empty_lists_out(stored):
    assert batches.composition(RNET, stored.counts, 48) == {"positive": 8, "part": 8, "negative": 24, "landmark": 8}
    assert batches.composition(ONET, {**stored.counts, "landmark-train": 0}).keys() == {"positive", "part", "negative"}
    with pytest.raises(UserError, match="no training sample"):
        batches.composition(PNET, {"imglist-train": 0})


def test_a_batch_too_small_for_a_sample_of_each_kind_is_refused_with_the_least(stored):
    for size in (1, 3):
        with pytest.raises(UserError, match=f"--batch-size {size} .*at least 4"):
            batches.composition(RNET, stored.counts, size)
    assert batches.composition(RNET, stored.counts, 4) == {"positive": 1, "part": 1, "negative": 2, "landmark": 1}
    only_negatives = {**dict.fromkeys(stored.counts, 0), "negative-train": 5}
    assert batches.composition(RNET, only_negatives, 2) == {"negative": 1}
    tiles = replace(PNET, batch=TILE_BATCH)
    counts = {"face-train": 9, "background-train": 9}
    assert batches.composition(PNET, {"imglist-train": 9}, 1) == {"imglist": 1}
    assert batches.composition(tiles, counts, 2) == {"face": 1, "background": 1}
    with pytest.raises(UserError, match="at least 2"):
        batches.composition(tiles, counts, 1)


def test_a_pass_shows_every_sample_once(stored):
    per_batch = {"positive": 10}
    batches_seen = batches.training(stored, per_batch, standard(RNET), epoch=0).take(9)
    seen = [round(float(n) * 1000) for batch in batches_seen for n in abs(batch[2].numpy())[:, 1]]
    assert sorted(seen) == list(range(90))


def contents(stored, epoch, seed=1, skip=0, **changes):
    recipe = replace(standard(RNET), seed=seed, **changes)
    return [[t.numpy() for t in batch] for batch in batches.training(stored, {"positive": 16, "negative": 48}, recipe,
                                                                     epoch, skip).take(4)]


def test_batches_follow_from_seed_epoch_and_position(stored):
    first = contents(stored, seed=1, epoch=2)
    for one, again in zip(first, contents(stored, seed=1, epoch=2)):
        for a, b in zip(one, again):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(first[3], contents(stored, seed=1, epoch=2, skip=3)[0]):
        np.testing.assert_array_equal(a, b)
    for other in (dict(seed=2, epoch=2), dict(seed=1, epoch=3)):
        assert (first[0][2] != contents(stored, **other)[0][2]).any()
    of_first, of_third = (contents(stored, epoch=epoch, reshuffle=False) for epoch in (0, 3))
    for a, b in zip(of_first[0], of_third[0]):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("stage", [PNET, RNET, ONET])
def test_a_worker_prepares_its_rows_as_if_it_prepared_all(tmp_path, rng, stage):
    """Three workers: the images of each are its rows of the whole batch, bit by bit; labels and targets are all's."""
    stored = make_records(tmp_path, stage.size, {name: 100 for name in stage.batch}, rng)
    per_batch = batches.composition(stage, stored.counts, 50)
    of = [batches.training(stored, per_batch, standard(stage), 1, 2, rows).take(2)
          for rows in (None, *(np.arange(worker, sum(per_batch.values()), 3) for worker in range(3)))]
    for whole, *shares in zip(*of):
        for worker, share in enumerate(shares):
            np.testing.assert_array_equal(share[0], whole[0][worker::3])
            for targets, all_targets in zip(share[1:], whole[1:]):
                np.testing.assert_array_equal(targets, all_targets)


def test_a_share_of_the_images_is_whole_shards(stored):
    """All samples of an image are in one shard. Landmark images are others, and held-out samples stay."""
    part = batches.part_of(stored, 0.5)
    shards = stored.files("negative", "train")
    assert len(part.files("negative", "train")) == 2 and {*part.files("negative", "train")} < {*shards}
    assert part.counts["negative-train"] == stored.counts["negative-train"] / 2 == 200
    for name, split in (("landmark", "train"), ("negative", "validation")):
        assert part.files(name, split) == stored.files(name, split)
        assert part.counts[f"{name}-{split}"] == stored.counts[f"{name}-{split}"]
    assert batches.part_of(stored, 1.0) is stored


def test_validation_shows_all_held_out_samples_composed_like_training(stored):
    """There are 18 positives and 80 negatives held out: 10 batches of 6 and 8, the positives are repeated."""
    shown = [[t.numpy() for t in batch]
             for batch in batches.validation(stored, {"positive": 6, "negative": 8}, standard(RNET))]
    assert [sorted(labels.tolist()) for _, labels, _, _ in shown] == [[0] * 8 + [1] * 6] * 10
    numbers = [np.round(offsets[:, 0] * 1000).astype(int) for _, _, offsets, _ in shown]
    assert sorted(np.concatenate([n[6:] for n in numbers])) == list(range(80))
    assert sorted(np.concatenate([n[:6] for n in numbers])[:18]) == list(range(18))
    assert all(-1.0 <= images.min() and images.max() <= 1.0 for images, *_ in shown)


def test_validation_without_a_kind_shows_the_others(stored):
    stored.counts["part-validation"] = 0
    labels = [batch[1].numpy() for batch in batches.validation(stored, {"part": 5, "negative": 10},
                                                               standard(RNET))]
    assert len(labels) == 8 and not np.concatenate(labels).any()
