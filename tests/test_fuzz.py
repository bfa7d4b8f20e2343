"""Properties that hold for any boxes, lines and records; and the short form of tests/fuzz.py and tests/endurance.py."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import endurance
import fuzz
from config import KINDS
from detection import boxes as bx
from preprocess import samples
from preprocess.labels import wider as wider_lists

COORDINATE = st.floats(-1e5, 1e5, width=32)
QUICK = settings(max_examples=100, deadline=None)


@st.composite
def boxes(draw, at_least=0):
    """float32 (N, 4) with sides of 1 px and more."""
    count = draw(st.integers(at_least, 12))
    corner = draw(hnp.arrays(np.float32, (count, 2), elements=COORDINATE))
    side = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(1, 2 ** 16, width=32)))
    return np.hstack([corner, corner + side])


@QUICK
@given(boxes(), boxes())
def test_iou_lies_in_0_to_1_and_does_not_depend_on_the_order(a, b):
    overlap = bx.iou(a, b)
    assert overlap.shape == (len(a), len(b)) and (overlap >= 0).all() and (overlap <= 1 + 1e-6).all()
    np.testing.assert_array_equal(overlap, bx.iou(b, a).T)
    np.testing.assert_allclose(np.diag(bx.iou(a, a)), 1, rtol=1e-5)


@QUICK
@given(boxes(), st.floats(0, 1), st.randoms())
def test_what_nms_keeps_does_not_overlap_and_what_it_drops_does(a, threshold, random):
    scores = np.array([random.random() for _ in a], np.float32)
    keep = bx.nms(a, scores, threshold)
    overlap = bx.iou(a, a)
    assert (np.diff(scores[keep]) <= 0).all()
    assert not (np.triu(overlap[np.ix_(keep, keep)], 1) > threshold + 1e-6).any()
    for i in set(range(len(a))) - set(np.asarray(keep).tolist()):
        assert any(overlap[i, k] >= threshold - 1e-6 and scores[k] >= scores[i] for k in keep)


@QUICK
@given(boxes(1))
def test_windows_are_square_on_whole_pixels_and_hold_the_center(a):
    windows = bx.windows(a)
    side = windows[:, 2:] - windows[:, :2]
    assert (side[:, 0] == side[:, 1]).all() and (side > 0).all() and (windows == np.round(windows)).all()
    unit = np.where(side >= 192, 4, np.where(side >= 96, 2, 1))          # px, on which larger windows lie
    off = np.abs((windows[:, :2] + windows[:, 2:]) / 2 - (a[:, :2] + a[:, 2:]) / 2)
    assert (off <= unit + 1e-6 * np.abs(a).max()).all()


@QUICK
@given(hnp.arrays(np.int64, 4, elements=st.integers(-10 ** 6, 10 ** 6)), st.sampled_from(sorted(KINDS.values())),
       hnp.arrays(np.float32, 4, elements=st.floats(-2.0 ** 100, 2.0 ** 100, width=32)),
       hnp.arrays(np.float32, 10, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)), st.booleans(),
       st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/\\:"), min_size=3))
def test_any_sample_comes_back_from_its_line(crop, label, offsets, points, mirror, image):
    line, = samples.lines(image, crop[None], [label], offsets[None], points[None], mirror)
    back = samples.parse(line)
    assert (back.path, back.label, back.mirror) == (image, label, mirror)
    for found, wanted in ((back.crop, crop), (back.offsets, offsets), (back.points, points)):
        np.testing.assert_array_equal(found, wanted)
    assert KINDS[samples.kind_of(line)] == label and samples.path_of(line) == image


@settings(max_examples=50, deadline=None)
@given(label=st.integers(-2 ** 63, 2 ** 63 - 1), pixels=hnp.arrays(np.uint8, (12, 12, 3)),
       offsets=hnp.arrays(np.float32, 4), points=hnp.arrays(np.float32, 10))
def test_any_record_comes_back(label, pixels, offsets, points):
    from preprocess import records, tfrecord
    back = [t.numpy()[0] for t in records.decode([tfrecord.encode(pixels, label, offsets, points)], 12)]
    for found, wanted in zip(back, (pixels, label, offsets, points)):
        np.testing.assert_array_equal(found, wanted)


@QUICK
@given(st.lists(st.tuples(st.floats(0, 9e5), st.floats(0, 9e5), st.floats(1, 9e4), st.floats(1, 9e4)), min_size=1,
                max_size=20))
def test_any_faces_come_back_from_the_official_form(tmp_path_factory, faces):
    path = tmp_path_factory.getbasetemp() / "list.txt"
    rows = "".join(f"{x!r} {y!r} {w!r} {h!r} 0 0 0 0 0 0\n" for x, y, w, h in faces)
    path.write_text(f"e/人 a.jpg\n{len(faces)}\n" + rows,
                    encoding="utf-8")
    image, = wider_lists.read(path, "i")
    wanted = np.float32(faces)
    np.testing.assert_array_equal(image.boxes[:, :2], wanted[:, :2])
    np.testing.assert_allclose(image.boxes[:, 2:], wanted[:, :2] + wanted[:, 2:], rtol=1e-6)


@pytest.mark.parametrize("name", fuzz.NAMES)
def test_damaged_files_are_refused_not_crashed_on(name, capsys):
    crashes = fuzz.main(150, [name], seed=1)
    assert not crashes, capsys.readouterr().out


def test_memory_stays_flat_over_many_detections():
    assert endurance.main(2000, ["detections"])[0] <= endurance.LIMIT_MB


@pytest.mark.slow
def test_a_hundred_thousand_damaged_files_are_refused(capsys):
    crashes = fuzz.main(100_000)
    assert not crashes, capsys.readouterr().out
