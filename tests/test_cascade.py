"""The cascade with nets that are no nets: what they say is computed from the pixels, so the right answer is known."""
import cv2
import numpy as np
import pytest

from config import (
    BOTTOM_ODDS,
    CASCADE,
    MIRROR_ORDER,
    ODDS_POWER,
    PICTURE,
    SIZE_FALL,
    SIZE_OCTAVES,
    SIZE_ODDS,
    SURE,
    VOTE_TRUST,
    VOTES_EXPECTED,
)
from detection import Detector, UserError, weights
from detection import boxes as bx
from detection.cascade import Faces

POINTS = np.float32([[0.3, 0.3], [0.7, 0.45], [0.4, 0.55], [0.35, 0.7], [0.65, 0.85]])   # within a planted face


def planted(height, width, *faces):
    """A dark picture with squares (x, y, side), bright in blue; green and red tell how far right and down one is."""
    image = np.full((height, width, 3), 20, np.uint8)
    for x, y, side in faces:
        down, right = np.mgrid[:side, :side] * 255 / side
        square = np.stack([np.full((side, side), 240), right, down], axis=-1)[max(-y, 0):, max(-x, 0):]
        part = image[max(y, 0):y + side, max(x, 0):x + side]
        part[:] = square[:part.shape[0], :part.shape[1]]
    return image


class Proposer:
    """P-Net's part: a window is a face as far as it is bright and its surroundings are dark."""
    def maps(self, level):
        bright = np.pad(level[..., 0].astype(np.float64) / 255, 6)
        total = np.pad(bright.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

        def means(pad):                                           # of the 12 + 2 pad windows around each cell
            side, start = 12 + 2 * pad, 6 - pad
            rows = np.arange(start, start + level.shape[0] - 11, 2)[:, None]
            columns = np.arange(start, start + level.shape[1] - 11, 2)[None]
            return (total[rows + side, columns + side] - total[rows, columns + side]
                    - total[rows + side, columns] + total[rows, columns])
        inner, outer = means(0), means(6) - means(0)
        score = np.clip(inner / 144 - outer / 432, 0, 1)
        wider = np.broadcast_to(np.float32([-0.25, -0.25, 0.25, 0.25]), (*score.shape, 4))
        return [np.stack([1 - score, score], axis=-1).astype(np.float32), wider]


class Finder:
    """R-Net's and O-Net's part: finds the bright square in its crop, to the pixel; no face where it touches the edge.

    The box is wider than the square by `margin` of its side, so that the next net sees all of it. Points are where the
    colors say, and all in the middle of the square where the edge of the crop is not all bright: like O-Net's, they say
    no more than that on other crops than those that they were learned on.
    """
    def __init__(self, margin, points):
        self.margin, self.points = margin, points

    def __call__(self, crops):
        found = [self.look(crop) for crop in crops]
        arrays = [np.array([f[i] for f in found], np.float32).reshape(len(crops), n) for i, n in enumerate((2, 4, 10))]
        return arrays if self.points else arrays[:2]

    def look(self, crop):
        bright = crop[..., 0] > 128
        rows, columns = np.nonzero(bright)
        edge = np.concatenate([*bright[[0, -1]], *bright[:, [0, -1]].T])
        if edge.any() or not len(rows):
            points = self.seen(crop[..., 1:] / 255.0) if edge.all() else np.zeros((5, 2))
            return (0.9, 0.1), np.zeros(4), points.ravel()
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / len(bright)
        side, points = box[2:] - box[:2], np.tile((box[:2] + box[2:]) / 2, 5)
        return (0.1, 0.9), box - (0, 0, 1, 1) + np.tile(side, 2) * self.margin * (-1, -1, 1, 1), points

    @staticmethod
    def seen(place):
        """Where each pixel is in the face (H, W, 2) -> where the points are in the crop (5, 2); left as seen."""
        distance = np.linalg.norm(place[None] - POINTS[:, None, None], axis=-1)                  # (5, H, W)
        rows, columns = np.unravel_index(distance.reshape(5, -1).argmin(axis=1), distance.shape[1:])
        points = np.stack([columns + 0.5, rows + 0.5], axis=1) / len(place)
        mirrored = place[:, 0, 0].mean() > place[:, -1, 0].mean()
        return points[list(MIRROR_ORDER)] if mirrored else points


def detector(**options):
    options = {"min_face_size": 20, "thresholds": (0.25, 0.4, 0.4), **options}     # P-Net: 0.5 for the smallest windows
    return Detector([Proposer(), Finder(0.1, False), Finder(0, True)], **options)


@pytest.mark.parametrize("face", [(100, 60, 40), (30, 90, 75), (200, 20, 24), (0, 0, 60), (240, 130, 70)])
def test_finds_a_planted_face(face):
    x, y, side = face
    found = detector().detect(planted(200, 310, face))
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], [x, y, x + side, y + side], atol=0.06 * side)
    np.testing.assert_allclose(found.landmarks[0], POINTS * side + (x, y), atol=0.06 * side)
    assert found.boxes.dtype == found.scores.dtype == found.landmarks.dtype == np.float32


def test_points_come_from_a_second_look_as_it_is_and_mirrored():
    """A net without symmetry: what it gets wrong on one side, it gets wrong on the other in the mirror."""
    class OneSided(Finder):
        def look(self, crop):
            score, box, points = super().look(crop)
            return score, box, points + np.tile([0.1, 0], 5) * (score[1] < 0.5)                  # in the second look
    plain, one_sided = (Detector([Proposer(), Finder(0.1, False), net(0, True)], thresholds=(0.5, 0.4, 0.4)).detect(
        planted(200, 310, (100, 60, 40))).landmarks for net in (Finder, OneSided))
    np.testing.assert_allclose(one_sided, plain, atol=1e-3)


def test_the_second_look_goes_where_the_first_saw_the_points():
    """A box that lies a quarter of its side too high: the square that its place alone would give leaves the face."""
    class Beside(Finder):
        def look(self, crop):
            score, box, points = super().look(crop)
            return score, box - np.tile([0, 0.25], 2) * (1 + box[3] - box[1]) * (score[1] > 0.5), points
    nets = [Proposer(), Finder(0.1, False), Beside(0, True)]
    found = Detector(nets, thresholds=(0.5, 0.4, 0.4)).detect(planted(200, 310, (100, 60, 40)))
    np.testing.assert_allclose(found.boxes, [[100, 50, 140, 90]], atol=1.5)
    np.testing.assert_allclose(found.landmarks[0], POINTS * 40 + (100, 60), atol=0.06 * 40)


class Sided(Finder):
    """A net without symmetry: its boxes lie to the right by 0.1 of the window, and it is sure of the image as it is
    alone."""
    def look(self, crop):
        (_, score), box, points = super().look(crop)
        as_it_is = crop[:, :24, 1].mean() < crop[:, 24:, 1].mean()          # green grows to the right
        score *= 1 if as_it_is else 0.25
        return (1 - score, score), box + np.array([0.1, 0, 0.1, 0]), points


def test_boxes_and_scores_are_the_mean_of_a_window_and_its_mirror_image():
    plain, one_sided = (Detector([Proposer(), Finder(0.1, False), net(0, True)], thresholds=(0.5, 0.4, 0.4)).detect(
        planted(200, 310, (100, 60, 40))) for net in (Finder, Sided))
    np.testing.assert_allclose(one_sided.boxes, plain.boxes, atol=0.1)
    for found, odds in ((plain, 9), (one_sided, (9 * 9 * 0.225 / 0.775) ** (1 / 3))):       # R-Net, O-Net, flipped
        np.testing.assert_allclose(found.scores, of_one_window(odds), rtol=1e-3)


def test_a_window_that_the_net_is_sure_of_is_not_seen_flipped():
    class Sure(Sided):
        def look(self, crop):
            (_, score), box, points = super().look(crop)
            score = min(score / 0.9, 1)                                             # 1, and 0.25 flipped
            return (1 - score, score), box, points
    plain, sure = (Detector([Proposer(), Finder(0.1, False), net(0, True)], thresholds=(0.5, 0.4, 0.4)).detect(
        planted(200, 310, (100, 60, 40))) for net in (Finder, Sure))
    np.testing.assert_allclose(sure.scores, of_one_window((9 * (1 / SURE - 1)) ** 0.5), rtol=1e-3)  # R-Net, O-Net
    np.testing.assert_allclose(sure.boxes[0, [0, 2]], plain.boxes[0, [0, 2]] + 5, atol=1)           # 0.1 of 48 px


def of_one_window(odds):
    """The odds of a window, which is the only one of its face -> the face's score."""
    odds = (odds * odds / (1 + odds) / VOTES_EXPECTED) ** ODDS_POWER
    return odds / (1 + odds)


@pytest.mark.parametrize("threshold, count", [(0.65, 1), (0.7, 0)])
def test_the_reported_score_is_the_one_that_the_last_threshold_is_compared_with(threshold, count):
    """O-Net gives 0.9 to the window and 0.225 to its mirror image; with R-Net's 0.9 the face has 0.673."""
    nets = [Proposer(), Finder(0.1, False), Sided(0, True)]
    found = Detector(nets, thresholds=(0.5, 0.4, threshold)).detect(planted(200, 310, (100, 60, 40)))
    assert len(found) == count and (found.scores >= threshold).all()


def test_the_less_a_window_had_to_be_corrected_the_more_its_vote_counts():
    """Two windows of one face, of equal score: one is the square of its box, the other lies a quarter of it beside."""
    boxes = np.float32([[0, 0, 30, 40], [4, 0, 34, 40]])
    windows = bx.square(boxes) + np.float32([[0], [10]]) * np.float32([[1, 0, 1, 0]])
    found = Faces(boxes, np.float32([0.9, 0.9]))
    box = detector()._merge(found, windows).boxes[0]
    share = (30 / 50) ** VOTE_TRUST                                     # of the second vote in the first
    np.testing.assert_allclose(box[0], 4 * share / (1 + share), rtol=1e-4)
    np.testing.assert_allclose(detector()._merge(found, bx.square(boxes)).boxes[0, 0], 2, rtol=1e-4)


def test_the_more_windows_find_a_face_the_higher_its_score():
    """Three windows of one face, one of another, all with the same score; the third face lacks evidence."""
    boxes = np.float32([[0, 0, 40, 40], [2, 0, 42, 40], [0, 2, 40, 42], [100, 0, 140, 40], [200, 0, 240, 40]])
    found = Faces(boxes, np.float32([0.8, 0.8, 0.8, 0.8, 0.75]))
    merged = detector(thresholds=(0.5, 0.4, 0.7))._merge(found, boxes)
    odds = (4 * 3 * 0.8 / VOTES_EXPECTED) ** ODDS_POWER
    np.testing.assert_allclose(merged.scores, [odds / (1 + odds), of_one_window(4.0)], rtol=1e-5)
    assert merged.boxes[0, 0] < 1 and merged.boxes[1, 0] == 100
    assert len(detector(thresholds=(0.5, 0.4, 0.6))._merge(found, boxes)) == 3


def test_a_face_across_the_border_is_seen_through_the_padding():
    found = detector(thresholds=(0.3, 0.3, 0.3)).detect(planted(200, 300, (-12, 80, 60)))
    assert len(found) >= 1
    assert bx.iou(np.array([[0, 80, 48, 140]], np.float32), found.boxes).max() > 0.8


def test_all_of_several_faces_best_first():
    faces = [(20, 20, 40), (150, 30, 60), (60, 150, 90), (220, 200, 30)]
    found = detector().detect(planted(300, 300, *faces))
    truth = np.array([[x, y, x + s, y + s] for x, y, s in faces], np.float32)
    assert len(found) == 4 and (bx.iou(truth, found.boxes).max(axis=1) > 0.8).all()
    assert (np.diff(found.scores) <= 0).all()


def test_a_batch_of_any_sizes_equals_one_by_one():
    images = [planted(200, 310, (100, 60, 40)), planted(90, 60), planted(300, 200, (10, 10, 50), (100, 200, 80)),
              planted(5, 5), planted(120, 120, (30, 30, 60))]
    both = detector()
    for together, alone in zip(both.detect_batch(images), [both.detect(image) for image in images], strict=True):
        for name in ("boxes", "scores", "landmarks"):
            np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))


@pytest.mark.parametrize("image", [planted(200, 300), planted(1, 1), planted(19, 500), planted(20, 20) // 20],
                         ids=["dark", "1x1", "thin", "20x20"])
def test_no_face_is_an_empty_answer(image):
    found = detector().detect(image)
    assert (found.boxes.shape, found.scores.shape, found.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))


def test_no_images_no_answers():
    assert detector().detect_batch([]) == []


def test_stages_stop_early_and_trace_tells_all():
    """With fewer nets, too, the windows are those of the whole cascade: recall after P-Net is one number."""
    image = planted(200, 310, (100, 60, 40))
    full = detector().trace(image)
    assert len(full) == 3 and len(full[0]) >= len(full[1]) >= len(full[2]) == 1
    for stages in (1, 2):
        last = detector(stages=stages).detect(image)
        np.testing.assert_array_equal(last.boxes, full[stages - 1].boxes)
        assert last.landmarks.shape == (0, 5, 2)


def test_as_many_stages_run_as_nets_are_given():
    nets, image = [Proposer(), Finder(0.1, False), Finder(0, True)], planted(200, 310, (100, 60, 40))
    for count in (1, 2, 3):
        few = Detector(nets[:count], 20, (0.25, 0.4, 0.4)[:count])
        np.testing.assert_array_equal(few.detect(image).boxes, detector(stages=count).detect(image).boxes)
        assert few.has_landmarks == detector(stages=count).has_landmarks == (count == 3)
    for wrong in ([], [*nets, nets[2]]):
        with pytest.raises(ValueError, match=f"1 to 3 nets, not {len(wrong)}"):
            Detector(wrong)
    with pytest.raises(ValueError, match="refine needs all three nets"):
        Detector(nets[:2]).refine(image, np.float32([[90, 50, 150, 110]]))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_thresholds_are_higher_for_small_windows_and_lower_for_large_ones(threshold):
    octaves, odds = np.array([-0.1, 0, 1, 1.5, 3, 9]), threshold / (1 - threshold)
    counted = np.array([0, 0, 1, 1.5, SIZE_OCTAVES, SIZE_OCTAVES])
    for net, (first, fall) in enumerate(zip(SIZE_ODDS, SIZE_FALL)):
        found = detector(thresholds=[threshold] * 3).limits(net, octaves)
        np.testing.assert_allclose(found / (1 - found), odds * first * fall ** counted, rtol=1e-5)
        below = np.arange(len(octaves)) % 2 == 1
        mixed = detector(thresholds=[threshold] * 3).limits(net, octaves, below)
        np.testing.assert_allclose(mixed / (1 - mixed), found / (1 - found) * np.where(below, BOTTOM_ODDS, 1), 1e-5)
        assert (detector(thresholds=[threshold] * 3, mining=True).limits(net, octaves) == np.float32(threshold)).all()
    assert (detector(thresholds=[threshold] * 3).limits(2, octaves) == np.float32(threshold)).all()


@pytest.mark.parametrize("threshold", [0, 1])
def test_all_and_nothing_stay_all_and_nothing(threshold):
    assert (detector(thresholds=[threshold] * 3).limits(0, np.arange(4)) == threshold).all()


def test_p_net_proposes_by_the_limit_of_the_level_and_r_net_passes_by_that_of_the_window():
    """Both give 0.45 to every window; with a threshold of 0.5 that is enough from some size on."""
    class Same:
        heads = ("face", "box")

        def maps(self, level):
            rows, columns = ((side - 12) // 2 + 1 for side in level.shape[:2])
            return [np.full((rows, columns, 2), (0.55, 0.45), np.float32), np.zeros((rows, columns, 4), np.float32)]

        def __call__(self, crops):
            return [np.tile(np.float32((0.55, 0.45)), (len(crops), 1)), np.zeros((len(crops), 4), np.float32)]
    for net, first in ((0, 0.5), (1, 0.2)):       # with 0.2, P-Net lets all through
        faces = Detector([Same(), Same(), Finder(0, True)], 20, (first, 0.5, 0.5)).trace(
            np.zeros((400, 500, 3), np.uint8))[net]
        least = 20 * 2 ** (np.log(0.45 / 0.55 / SIZE_ODDS[net]) / np.log(SIZE_FALL[net]))
        below = faces.boxes[:, 3] > 400
        assert least / 1.02 < bx.longer_side(faces.boxes[~below]).min() < least * 1.45
        if net == 0:                              # those that the bottom border cuts, from a smaller size on
            least = 20 * 2 ** (np.log(0.45 / 0.55 / SIZE_ODDS[net] / BOTTOM_ODDS) / np.log(SIZE_FALL[net]))
            assert least / 1.02 < bx.longer_side(faces.boxes[below]).min() < least * 1.45


def test_a_dark_image_is_brightened_but_not_in_mining():
    image = planted(200, 310, (100, 60, 40))
    dark = image // 5
    assert len(detector().detect(image)) == len(detector().detect(dark)) == 1
    assert len(detector(mining=True).detect(image)) and not len(detector(mining=True).detect(dark))
    near = np.float32([[90, 50, 150, 110]])
    np.testing.assert_array_equal(detector().refine(dark, near).boxes, detector().refine(image, near).boxes)
    assert len(detector().refine(dark, near)) == 1


@pytest.mark.parametrize("share", [1, 0.3])
def test_detecting_leaves_the_image_alone(share):
    image = (planted(200, 310, (-10, 60, 40)) * share).astype(np.uint8)
    before = image.copy()
    detector().detect(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("options", [{"thresholds": (0.5,)}, {"thresholds": (0.5, 0.5, 2)}, {"factor": 1.0},
                                     {"factor": 0}, {"min_face_size": 0}, {"min_face_size": float("nan")},
                                     {"stages": 0}, {"stages": -1}, {"stages": 4}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError):
        detector(**options)


def test_images_that_are_none_are_refused():
    for image in (None, "picture.jpg", np.zeros((5, 5)), np.zeros((5, 5, 3))):
        with pytest.raises(ValueError, match="uint8"):
            detector().detect(image)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(UserError, match="pnet.npz"):
        Detector(tmp_path)


def test_real_nets_with_random_weights_run_through(tmp_path, rng, scene):
    for stage in CASCADE:
        weights.write_arrays(tmp_path / f"{stage.name}.npz", {
            name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in weights.shapes(stage).items()})
    found = Detector(tmp_path, thresholds=(0.0, 0.0, 0.0)).detect(scene)
    assert len(found) > 0 and found.landmarks.shape == (len(found), 5, 2) and np.isfinite(found.boxes).all()


def test_clipped_boxes_lie_in_the_image_and_landmarks_stay():
    faces = Faces(np.float32([[-2.5, 3, 10, 90], [5, -1, 70, 20]]), np.float32([0.9, 0.8]),
                  np.full((2, 5, 2), -7, np.float32))
    found = faces.clipped((40, 60, 3))
    assert found.boxes.tolist() == [[0, 3, 10, 40], [5, 0, 60, 20]]
    assert found.scores is faces.scores and (found.landmarks == -7).all()
    assert faces.boxes[0, 0] == -2.5 and len(Faces().clipped((4, 4))) == 0


def test_the_largest_face_is_that_of_the_largest_box():
    faces = Faces(np.float32([[0, 0, 10, 10], [0, 0, 30, 20], [5, 5, 9, 9]]), np.float32([0.9, 0.8, 0.7]))
    assert faces.largest().scores.tolist() == [np.float32(0.8)]
    assert len(Faces().largest()) == 0


@pytest.mark.parametrize("quarters", range(4))
def test_turned_faces_are_found_in_the_coordinates_of_the_image(quarters):
    upright = cv2.imread(str(PICTURE / "tesla.jpg"))
    image = np.ascontiguousarray(np.rot90(upright, quarters))
    wanted = Detector().detect(upright).turned_back(-quarters % 4, image.shape)
    found = Detector(rotate=True).detect(image)
    assert len(found) == 1
    for name in ("boxes", "scores", "landmarks"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-3)
    if quarters:
        assert len(Detector().detect(image)) == 0
        eyes = found.landmarks[0, :2].mean(axis=0)
        mouth = found.landmarks[0, 3:].mean(axis=0)
        down = [(0, 1), (1, 0), (0, -1), (-1, 0)][quarters]      # of the face, in the image
        assert (mouth - eyes) @ down > 20
