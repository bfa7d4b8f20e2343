"""Tiles: where their faces lie, which label each cell gets, and a training on them from the images to the weights."""
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from config import HEADS, NEGATIVE, PART, PNET, POSITIVE, ROOT, TILE, TILE_FACES
from detection import UserError, weights
from detection import boxes as bx
from pipeline import settings as st
from pipeline import step
from preprocess import gen_tiles, labels, samples, tfrecord, tiles
from preprocess.records import Records, decode_tiles
from preprocess.tfrecord import encode_tile
from train import tiles as training
from train.augment import mirror_images

CELLS = ((TILE - PNET.size) // 2 + 1) ** 2


def drawn(width, height, boxes):
    """Noise with white boxes (N, 4)."""
    pixels = np.random.default_rng(0).integers(0, 120, (height, width, 3), dtype=np.uint8)
    for x1, y1, x2, y2 in np.asarray(boxes, int):
        pixels[y1:y2, x1:x2] = 255
    return pixels


def annotated(boxes, invalid=None):
    return labels.annotate("a.jpg", boxes, invalid)


def random_tiles(rng, count):
    """faces (count, F, 4), kinds (count, F): up to eight faces of 6 to 30 px, some ignored."""
    faces, kinds = np.zeros((count, TILE_FACES, 4), np.float32), np.full((count, TILE_FACES), tiles.ABSENT)
    for i in range(count):
        some = rng.integers(9)
        corner, side = rng.uniform(-8, TILE, (some, 2)), rng.uniform(6, 30, (some, 1)) * rng.uniform(0.7, 1, (some, 2))
        faces[i, :some], kinds[i, :some] = np.hstack([corner, corner + side]), rng.random(some) < 0.8
    return faces, kinds


def test_cells_get_the_labels_and_offsets_of_crops(rng):
    faces, kinds = random_tiles(rng, 40)
    shape = [40, TILE, TILE, 3]
    _, got, offsets, points = training.label(tf.zeros(shape), tf.constant(kinds), tf.constant(faces), tf.zeros([40, 0]))
    assert points.shape == (40 * CELLS, HEADS["landmark"]) and len(tiles.windows()) == CELLS
    windows, offsets = tiles.windows(), offsets.numpy().reshape(40, CELLS, 4)
    for one, (boxes, kind) in enumerate(zip(faces, kinds)):
        truth, ignored = boxes[kind == tiles.TRUE], boxes[kind == tiles.IGNORED]
        wanted, nearest = samples.label(windows, truth, ignored, PNET.part_iou)
        labeled = got.numpy().reshape(40, CELLS)[one]
        assert (labeled == wanted).mean() > 0.999          # but for a rounding at a bound
        boxed = np.isin(wanted, (POSITIVE, PART)) & (labeled == wanted)
        np.testing.assert_allclose(offsets[one][boxed], bx.encode(nearest, windows)[boxed], atol=1e-5)
    assert {POSITIVE, PART, NEGATIVE, samples.AMBIGUOUS} == set(got.numpy().tolist())


def test_a_mirrored_tile_has_the_mirrored_labels(rng):
    faces, kinds = random_tiles(rng, 8)
    pixels = tf.constant(rng.integers(0, 256, (8, TILE, TILE, 3), dtype=np.uint8))
    flips = tf.constant([True, False] * 4)
    mirrored = mirror_images(pixels, flips)
    boxes, _ = training.mirror_targets(tf.constant(faces), tf.zeros([8, 0]), flips)
    _, plain, *_ = training.label(pixels, tf.constant(kinds), tf.constant(faces), tf.zeros([8, 0]))
    _, other, *_ = training.label(pixels, tf.constant(kinds), boxes, tf.zeros([8, 0]))
    side = int(CELLS ** 0.5)
    plain, other = (labeled.numpy().reshape(8, side, side) for labeled in (plain, other))
    for i, flipped in enumerate(flips.numpy()):
        np.testing.assert_array_equal(mirrored[i], pixels[i, :, ::-1] if flipped else pixels[i])
        np.testing.assert_array_equal(other[i], plain[i, :, ::-1] if flipped else plain[i])


def test_tiles_show_faces_of_about_the_window_and_their_boxes_fit():
    boxes = [[30, 40, 90, 110], [200, 100, 215, 118]]
    pixels = drawn(320, 240, boxes)
    made = tiles.of_image(annotated(boxes), pixels, np.random.default_rng(1))
    assert len(made) == 5 + 2 * 3 + 8 and sum(map(tiles.has_positive, made)) >= 5
    for tile in made:
        for x1, y1, x2, y2 in tile.faces[tile.kinds == tiles.TRUE]:
            inner = tile.pixels[max(int(y1) + 2, 0):int(y2) - 1, max(int(x1) + 2, 0):int(x2) - 1]
            assert not inner.size or inner.min() > 200, "the box of a white face holds other pixels"


def test_a_border_blackens_what_its_faces_leave_out(rng):
    pixels = np.full((TILE, TILE, 3), 90, np.uint8)
    faces = np.array([[20, 22, 32, 36], [40, 10, 55, 27], [1, 2, 12, 14]], np.float32)
    for _ in range(30):
        cut, left = tiles.cut_by_border(pixels, faces, faces[0], rng)
        assert (pixels == 90).all() and 0.25 < bx.area(left)[0] / bx.area(faces)[0] < 0.95
        black = (cut == 0).all(axis=2)
        assert 0 < black.sum() and (black.all(axis=0).any() or black.all(axis=1).any())
        for x1, y1, x2, y2 in left[bx.area(left) > 0].astype(int):
            assert not black[y1:y2, x1:x2].any()


def test_invalid_faces_are_ignored_and_images_with_incomplete_labels_give_no_background():
    boxes = [[30, 40, 90, 110], [200, 100, 240, 148]]
    image = annotated(boxes, [False, True])
    made = tiles.of_image(replace(image, complete=False), drawn(320, 240, boxes), np.random.default_rng(1))
    assert len(made) == 5 + 3 and any((tile.kinds == tiles.IGNORED).any() for tile in made)


def test_a_record_gives_its_tile_back(rng):
    faces, kinds = random_tiles(rng, 1)
    pixels = rng.integers(0, 256, (TILE, TILE, 3), dtype=np.uint8)
    features = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels.tobytes()])),
                "image/kinds": tf.train.Feature(int64_list=tf.train.Int64List(value=kinds[0])),
                "image/faces": tf.train.Feature(float_list=tf.train.FloatList(value=faces[0].ravel()))}
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)
    assert encode_tile(pixels, faces[0], kinds[0]) == example
    got = decode_tiles(tf.constant([example]), TILE)
    for value, wanted in zip(got, (pixels, kinds[0], faces[0])):
        np.testing.assert_array_equal(value[0], wanted)


def test_a_damaged_shard_of_tiles_is_named_and_an_intact_one_is_not(tmp_path, rng):
    faces, kinds = random_tiles(rng, 3)
    pixels = np.zeros((TILE, TILE, 3), np.uint8)
    shard = tmp_path / "records" / "face-train.tfrecord"
    tfrecord.write(shard, [encode_tile(pixels, *each) for each in zip(faces, kinds)])
    step.write_json(tmp_path / "records.json", {
        "depends": {"settings": st.of_config("POINTS", "MIRROR_ORDER")}, "outputs": {}, "report": {
            "size": TILE, "counts": {"face-train": 3}, "shards": {"face-train": [shard.name]}}})
    stored = Records(tmp_path, TILE, "gen_tiles.py")
    with pytest.raises(tf.errors.InvalidArgumentError), stored.named_errors():
        raise tf.errors.InvalidArgumentError(None, None, "of the net")
    tfrecord.write(shard, [tfrecord.encode(pixels, POSITIVE, np.zeros(4), np.zeros(10))])
    with pytest.raises(UserError, match="face-train.tfrecord: this shard is damaged; run .*gen_tiles.py` --force"), \
            stored.named_errors():
        decode_tiles(next(iter(tf.data.TFRecordDataset(str(shard)).batch(1))), TILE)


def test_the_face_loss_counts_positives_and_the_hardest_negatives_alike():
    labels_ = tf.constant([POSITIVE] + [NEGATIVE] * 20 + [PART, samples.AMBIGUOUS], tf.int64)
    logits = np.zeros((23, 2), np.float32)
    logits[1:3] = 0, 2
    logits[3:21] = 9, 0
    logits[21:] = 0, 30
    wanted = (np.log(2) + np.log1p(np.exp(2))) / 2
    assert float(training.face(tf.constant(logits), labels_, tf.zeros(23), 0.1)) == pytest.approx(wanted, abs=1e-5)


def test_own_boxes_of_cells_decide_what_is_a_face():
    """A positive whose box fits, a part whose box does not, and the hardest of ten negatives."""
    labels_ = tf.constant([POSITIVE, PART] + [NEGATIVE] * 10, tf.int64)
    logits = np.zeros((12, 2), np.float32)
    logits[:3] = 0, 2
    overlap = tf.constant([0.8, 0.2] + [0.0] * 10)
    face, background = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    wanted = ((face + background) / 2 + background) / 2
    assert float(training.face_of_box(tf.constant(logits), labels_, overlap, 0.1)) == pytest.approx(wanted, abs=1e-5)


def test_the_help_gives_the_commands_of_the_explanation():
    commands = [line.strip() for line in gen_tiles.__doc__.splitlines() if line.strip().startswith("python ")]
    assert len(commands) == 3
    assert "\n".join(commands) in (ROOT / "docs" / "mtcnn.md").read_text(encoding="utf-8")


def test_from_images_to_weights(sample, tmp_path, script):
    """The two commands of the option; the second one starts from the shipped weights and changes them."""
    where = ("--data", sample, "--work", tmp_path, "--model", tmp_path / "model")
    said = script("preprocess/gen_tiles.py", *where, "--workers", 1).stdout
    stored = Records(tmp_path / "12" / "tiles", TILE, "gen_tiles.py")
    assert f"{stored.counts['face-train']:,} tiles" in said and stored.counts["background-validation"]
    assert "done already" in script("preprocess/gen_tiles.py", *where).stdout
    start = ROOT / "model" / "pnet.npz"
    said = script("train/train.py", "12", "--tiles", *where, "--init-from", start, "--epochs", 1, "--batch-size", 32,
                  "--graph", tmp_path / "graph").stdout
    before, after = (weights.read(path, PNET) for path in (start, tmp_path / "model" / "pnet.npz"))
    assert "pnet.npz: epoch 1" in said and any((before[name] != after[name]).any() for name in before)
    refused = script("train/train.py", "24", "--tiles", *where, code=2)
    assert "--tiles is for 12" in refused.stdout + refused.stderr
    said = script("train/train.py", "12", "--tiles", "--last-round", *where, "--init-from", start, "--epochs", 1,
                  "--batch-size", 32, "--model", tmp_path / "own", "--graph", tmp_path / "graph").stdout
    own = weights.read(tmp_path / "own" / "pnet.npz", PNET)
    assert "pnet.npz: epoch 1" in said and any((own[name] != after[name]).any() for name in own)
