"""P-Net gives on the packed pyramid what it gives on the levels one by one."""
import numpy as np
import pytest

from config import CASCADE, LEVEL_NMS, PICTURE, PNET, PNET_BORDER, SUPPORT, SUPPORT_FALL
from detection import Detector, cascade, images, pyramid, weights
from detection import boxes as bx

SIZES = [(90, 120), (61, 47), (20, 20), (25, 211), (480, 640), (1000, 30)]      # height, width


@pytest.mark.parametrize("height, width", [*SIZES, (1080, 1920), (6000, 8000)])
@pytest.mark.parametrize("factor", [0.5, 0.709, 0.9])
def test_levels_lie_apart_on_even_pixels_within_the_packed_pyramid(height, width, factor):
    layout = pyramid.layout(height, width, 20, factor)
    ends = layout.corners + layout.sizes + layout.sizes % 2
    spaces = np.hstack([layout.corners - PNET_BORDER, ends + PNET_BORDER]).astype(float)
    assert (layout.corners % 2 == 0).all() and (spaces >= 0).all()
    assert (spaces[:, 2:].max(axis=0) <= layout.shape[::-1]).all()
    common = bx.intersection(spaces, spaces)
    assert (common[~np.eye(len(spaces), dtype=bool)] == 0).all()


@pytest.mark.parametrize("height, width", [*SIZES, (1080, 1920), (6000, 8000)])
def test_each_row_of_cells_belongs_to_one_strip(height, width):
    layout = pyramid.layout(height, width, 20, 0.709)
    starts = [row for top, bottom in layout.strips() for row in range(top, bottom - PNET.size + 1, 2)]
    assert starts == list(range(0, layout.shape[0] - PNET.size + 1, 2))


@pytest.fixture(scope="module")
def pnet(tmp_path_factory):
    """A folder with a P-Net of random weights that says "face" here and there."""
    folder, rng = tmp_path_factory.mktemp("model"), np.random.default_rng(3)
    weights.write_arrays(folder / "pnet.npz", {
        name: rng.normal(0, 0.15, shape).astype(np.float32) for name, shape in weights.shapes(CASCADE[0]).items()})
    return folder


def level_by_level(detector, image):
    """What `Detector.propose` is to give, written down plainly."""
    found = []
    scales = images.half_scales(image)
    height, width = scales[0].shape[:2]
    for w, h in images.level_sizes(height, width, detector.min_face_size, 12, detector.factor):
        level = np.zeros((h + h % 2 + 2 * PNET_BORDER, w + w % 2 + 2 * PNET_BORDER, 3), np.uint8)
        level[PNET_BORDER:PNET_BORDER + h, PNET_BORDER:PNET_BORDER + w] = images.shrink(scales, w, h)
        face, offsets = detector.nets[0].maps(level)
        rows, columns = np.nonzero(face[..., 1] >= detector.thresholds[0])
        windows = np.stack([2 * columns, 2 * rows, 2 * columns + 12, 2 * rows + 12], axis=1).astype(np.float32)
        windows -= PNET_BORDER
        keep = bx.nms(windows, face[rows, columns, 1], LEVEL_NMS)
        rows, columns = rows[keep], columns[keep]
        found.append((windows[keep] / np.float32([w / width, h / height] * 2), face[rows, columns, 1],
                      offsets[rows, columns]))
    cells, scores, offsets = (np.concatenate(arrays) for arrays in zip(*found))
    keep = bx.nms(cells, scores, PNET.nms)
    return bx.decode(offsets[keep], cells[keep]), scores[keep]


@pytest.mark.parametrize("strip", [1 << 30, 8000])
@pytest.mark.parametrize("factor", [0.709, 0.88])
@pytest.mark.parametrize("height, width", SIZES)
def test_proposals_equal_those_of_the_levels_one_by_one(pnet, rng, monkeypatch, height, width, factor, strip):
    monkeypatch.setattr(pyramid, "PYRAMID_STRIP", strip)
    pyramid.layout.cache_clear()
    coarse = rng.integers(0, 256, (max(height // 3, 1), max(width // 3, 1), 3), dtype=np.uint8)
    image = images.resize(coarse, width, height)
    detector = Detector(pnet, thresholds=(0.6,), factor=factor, stages=1, mining=True)
    found = detector.propose(image)
    boxes, scores = level_by_level(detector, image)
    pyramid.layout.cache_clear()
    assert len(boxes) > 0 or height * width < 1000
    if not len(boxes):
        assert not len(found)
        return
    apart = np.abs(found.boxes[:, None] - boxes).max(axis=2)
    nearest, same = apart.argmin(axis=1), apart.min(axis=1) < 0.01
    assert len(set(nearest[same])) == same.sum()
    # Scores differ in the last digits; where two neighbours' are equal but for those, NMS may keep the other one
    exchanged = max(len(found), len(boxes)) - same.sum()
    assert exchanged <= len(boxes) / 1000
    np.testing.assert_allclose(found.scores[same], scores[nearest[same]], atol=1e-5)


@pytest.mark.parametrize("height, width", SIZES)
def test_the_bottom_border_cuts_windows_that_have_a_pixel_below_it(height, width):
    layout = pyramid.layout(height, width, 20, 0.709)
    for level, (left, top, right, bottom) in enumerate(layout.cells()):
        rows, columns = (each.ravel() for each in np.mgrid[top:bottom, left:right])
        levels = np.full(len(rows), level)
        corners = layout.corners_of(rows, columns, levels)
        inside = np.zeros((layout.shape[0] + 99, layout.shape[1] + 99), bool)
        x, y = layout.corners[level]
        inside[:y + layout.sizes[level][1]] = True
        whole = [inside[2 * row:2 * row + 12, 2 * column:2 * column + 12].all() for row, column in zip(rows, columns)]
        np.testing.assert_array_equal(layout.below(corners, levels), ~np.array(whole))
        assert corners.min() == -PNET_BORDER and (2 * columns[0] - corners[0, 0], 2 * rows[0] - corners[0, 1]) == (x, y)


def supported(scores, row, column, level, layout, threshold):
    """What `Layout.supported` is to say of one cell, written down plainly."""
    left, top, right, bottom = layout.cells()[level]
    around = [scores[y, x] for y in range(row - 2, row + 3) for x in range(column - 2, column + 3)
              if top <= y < bottom and left <= x < right]
    octaves = level * np.log2(1 / 0.709)
    return sum(around) / 25 >= threshold * (SUPPORT - SUPPORT_FALL * octaves)


@pytest.mark.parametrize("height, width", SIZES)
def test_a_window_counts_where_the_cells_around_it_score_high_enough_on_average(rng, height, width):
    layout = pyramid.layout(height, width, 20, 0.709)
    scores = rng.random(((layout.shape[0] - PNET.size) // 2 + 1, (layout.shape[1] - PNET.size) // 2 + 1), np.float32)
    scores **= rng.choice([0.5, 1, 2, 4], scores.shape)
    rows, columns = np.nonzero(scores >= 0.8)
    levels = layout.levels_of(rows, columns)
    rows, columns, levels = (each[levels >= 0] for each in (rows, columns, levels))
    found = layout.supported(scores, rows, columns, levels, np.full(len(rows), 0.8))
    assert found.tolist() == [supported(scores, *cell, layout, 0.8) for cell in zip(rows, columns, levels)]
    assert len(rows) < 50 or 0 < found.sum() < len(rows)


def test_mining_sees_all_windows(monkeypatch):
    """The rule is for detection: in mining, all windows at or above the threshold are proposed."""
    monkeypatch.setattr(cascade, "SIZE_ODDS", (1, 1))
    monkeypatch.setattr(cascade, "SIZE_FALL", (1, 1))
    monkeypatch.setattr(cascade, "BOTTOM_ODDS", 1)
    image = images.read(PICTURE / "mosaic.jpg")
    mining, detecting = (Detector(thresholds=(0.6,), stages=1, mining=mines) for mines in (True, False))
    some, every = detecting.propose(image), mining.propose(image)
    assert 0 < len(some) < len(every)
    assert {tuple(box) for box in some.boxes.tolist()} < {tuple(box) for box in every.boxes.tolist()}
