"""Samples, their labels and the lists of P-Net."""
from dataclasses import replace

import numpy as np
import pytest

from config import HELD_OUT_SHARE, LANDMARK, NEGATIVE, PART, POSITIVE
from detection import boxes as bx
from preprocess import crops as cr
from preprocess import gen_hard_example, gen_imglist_pnet, gen_landmark_aug, labels, samples


def test_a_line_gives_the_sample_back_exactly(rng):
    crops = rng.integers(-50, 500, (20, 4))
    offsets, points = rng.normal(size=(20, 4)).astype(np.float32), rng.random((20, 10)).astype(np.float32)
    kinds = rng.choice([POSITIVE, PART, NEGATIVE, LANDMARK], 20)
    lines = samples.lines("e v/図 1.jpg", crops, kinds, offsets, points, mirror=True, rotations=np.full(20, -5.0))
    for line, crop, label, offset, point in zip(lines, crops, kinds, offsets, points):
        back = samples.parse(line)
        assert (back.path, back.mirror, back.rotation, back.label) == ("e v/図 1.jpg", True, -5.0, label)
        for value, wanted in ((back.crop, crop), (back.offsets, offset), (back.points, point)):
            np.testing.assert_array_equal(value, wanted)
        assert samples.path_of(line) == back.path


def shifted(dx):
    return np.array([[dx, 0, dx + 100, 100]], np.float32)


@pytest.mark.parametrize("part_iou, between", [(0.3, PART), (0.4, samples.AMBIGUOUS)])
def test_label_rule_by_hand(part_iou, between):
    face = shifted(0)               # IoU is (100 - dx) / (100 + dx): 1, 0.653, 0.639, 0.408, 0.399, 0.307, 0.299, 0
    for dx, label in [(0, POSITIVE), (21, POSITIVE), (22, PART), (42, PART), (43, between), (53, between),
                      (54, NEGATIVE), (200, NEGATIVE)]:
        assert samples.label(shifted(dx), face, bx.empty(0, 4), part_iou)[0] == [label], dx


def test_a_narrow_face_is_positive_in_the_window_that_detecting_gives_it():
    """A profile, 50 x 100 px: the square around it has an IoU of 0.5 with the box itself."""
    profile = np.array([[25, 0, 75, 100]], np.float32)
    kinds, best = samples.label(bx.windows(profile), profile, bx.empty(0, 4), 0.3)
    assert kinds == [POSITIVE]
    np.testing.assert_array_equal(best, profile)


def test_the_best_face_decides():
    kinds, best = samples.label(shifted(0), np.concatenate([shifted(60), shifted(10)]), bx.empty(0, 4), 0.3)
    assert kinds == [POSITIVE]
    np.testing.assert_array_equal(best, shifted(10))


def test_faces_that_do_not_count_are_neither_truth_nor_background():
    none = bx.empty(0, 4)
    inside = np.array([[40, 40, 60, 60]], np.float32)
    assert samples.label(shifted(0), none, shifted(0), 0.3)[0] == [samples.AMBIGUOUS]
    assert samples.label(inside, none, shifted(0), 0.3)[0] == [samples.AMBIGUOUS]      # a crop within an invalid region
    assert samples.label(shifted(0), none, inside, 0.3)[0] == [NEGATIVE]              # a speck in a large crop
    assert samples.label(shifted(200), none, shifted(0), 0.3)[0] == [NEGATIVE]


def test_no_faces_no_crops():
    kinds, best = samples.label(bx.empty(0, 4), bx.empty(0, 4), bx.empty(0, 4), 0.3)
    assert kinds.shape == (0,) and best.shape == (0, 4)


def test_draws_follow_from_seed_step_and_images_alone():
    def first(*key):
        return samples.rng(*key).random()
    assert first("a", "x.jpg", 1) == first("a", "x.jpg", 1)
    assert len({first("a", "x.jpg", 1), first("b", "x.jpg", 1), first("a", "y.jpg", 1), first("a", "x.jpg", 2)}) == 4


def test_the_held_out_share_is_about_right():
    share = np.mean([samples.held_out(f"event/{i}.jpg") for i in range(20_000)])
    assert abs(share - HELD_OUT_SHARE) < 0.01


def inside(crops, width, height):
    return (crops[:, :2] >= 0).all(axis=1) & (crops[:, 2] <= width) & (crops[:, 3] <= height)


def test_crops_are_pushed_in_by_as_little_as_needed():
    crops = np.array([[-3, 5, 7, 15], [95, -1, 105, 9], [10, 10, 20, 20], [0, 0, 101, 101]], np.float32)
    np.testing.assert_array_equal(cr.pushed_in(crops, 100, 200),
                                  [[0, 5, 10, 15], [90, 0, 100, 10], [10, 10, 20, 20]])


def test_random_crops_obey_their_laws(rng):
    face = np.array([50, 60, 90, 110], np.float32)
    for _ in range(50):
        around = cr.around(rng, face, 20)
        side = around[:, 2] - around[:, 0]
        assert (side == around[:, 3] - around[:, 1]).all() and (side >= 32).all() and (side <= 63).all()
        assert np.abs((around[:, :2] + around[:, 2:]) / 2 - (70, 85)).max() <= 0.2 * 50 + 1.5
        for crops in (cr.background(rng, 200, 300, 40), cr.near(rng, face, 200, 300, 40)):
            side = crops[:, 2] - crops[:, 0]
            assert (side >= 12).all() and (side <= 100).all() and inside(crops, 200, 300).all()
        touching = cr.near(rng, face, 200, 300, 40)
        assert (touching[:, :2] <= face[2:]).all() and (touching[:, 2:] >= face[:2] - 1).all()


def test_tiny_images_give_no_background(rng):
    assert len(cr.background(rng, 11, 500, 40)) == 0
    assert inside(cr.background(rng, 12, 25, 40), 12, 25).all()


def test_landmark_variants_hold_only_points_inside(rng):
    crop = np.array([10, 10, 60, 60], np.float32)
    points = np.array([[20, 25], [50, 25], [35, 35], [22, 50], [48, 50]], np.float32)
    seen = set()
    for _ in range(40):
        for line in gen_landmark_aug.variants(rng, "x.jpg", crop, points):
            sample = samples.parse(line)
            seen.add((sample.mirror, sample.rotation))
            assert sample.label == LANDMARK and ((sample.points > 0) & (sample.points < 1)).all()
            assert sample.points[0] < sample.points[2] and sample.points[6] < sample.points[8]    # left stays left
    assert seen == {(m, r) for m in (False, True) for r in (0.0, 5.0, -5.0)}
    assert gen_landmark_aug.variants(rng, "x.jpg", crop, points + 30) == []


def test_landmark_variants_keep_missing_points_missing(rng):
    """The lost left eye is the lost right eye of mirrored variants; a lost point does not count as outside."""
    crop = np.array([10, 10, 60, 60], np.float32)
    points = np.array([[np.nan, np.nan], [50, 25], [35, 35], [22, 50], [48, 50]], np.float32)
    lines = [line for _ in range(20) for line in gen_landmark_aug.variants(rng, "x.jpg", crop, points)]
    for sample in map(samples.parse, lines):
        lost = np.isnan(sample.points.reshape(5, 2)).all(axis=1)
        assert lost.tolist() == ([False, True] if sample.mirror else [True, False]) + [False] * 3
    assert len({line.split("\t")[1] for line in lines}) == 6
    assert gen_landmark_aug.variants(rng, "x.jpg", crop, points * np.nan) == []


@pytest.mark.parametrize("label", [0, 1, -1])
def test_only_landmark_samples_may_lack_points(label):
    with pytest.raises(ValueError, match="not finite"):
        samples.parse(f"a.jpg\t0 0 9 9 0 0\t{label}\t0 0 0 0\t{'nan ' * 10}")


def test_balance_is_one_one_three():
    take, scarcest = gen_imglist_pnet.balance({"positive": 100, "part": 400, "negative": 900, "landmark": 77})
    assert take == {"positive": 100, "part": 100, "negative": 300, "landmark": 77} and scarcest == "positive"
    many = {"positive": 10 ** 6, "part": 10 ** 6, "negative": 10 ** 7, "landmark": 0}
    take, scarcest = gen_imglist_pnet.balance(many)
    assert take == {"positive": 250_000, "part": 250_000, "negative": 750_000, "landmark": 0} and scarcest is None
    take, _ = gen_imglist_pnet.balance({"positive": 100, "part": 400, "negative": 900, "landmark": 777})
    assert take["landmark"] == 100
    take, _ = gen_imglist_pnet.balance({"positive": 100, "part": 0, "negative": 900, "landmark": 0})
    assert take == {"positive": 100, "part": 0, "negative": 300, "landmark": 0}


@pytest.mark.parametrize("complete, incomplete, wanted", [(12_880, 0, 60), (1_000_000, 0, 60), (6_440, 5_000, 120),
                                                          (2_518, 0, 300), (0, 9, 300)])
def test_few_images_give_as_many_mined_negatives_in_all_as_many(complete, incomplete, wanted):
    image = labels.annotate("a.jpg", [])
    images = [image] * complete + [replace(image, complete=False)] * incomplete
    assert gen_hard_example.negatives_per_image(images) == wanted


@pytest.mark.parametrize("faces, wanted", [(150_000, 10), (25_000, 20), (12_280, 40), (0, 40)])
def test_few_faces_are_drawn_more_often_each(faces, wanted):
    boxes = np.tile(np.float32([0, 0, 30, 30]), (faces + 9, 1))
    boxes[:9] /= 10                                                                     # too small to be drawn
    assert gen_hard_example.tries_per_face([labels.annotate("a.jpg", boxes)]) == wanted
