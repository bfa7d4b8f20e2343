"""evaluate/robustness.py: what it does to images and boxes, and its figures on cases worked by hand."""
import json

import cv2
import numpy as np
import pytest

from detection import UserError
from detection import boxes as bx
from evaluate import robustness

SCRIPT = "evaluate/robustness.py"
FACE = np.array([[40, 20, 60, 50]], np.float32)


def marked(face, height=90, width=120):
    """A black image with a white ellipse that fills the face's box."""
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = face.tolist()
    scale = 16                                                                        # OpenCV takes 1/16 px
    center = (round((x1 + x2 - 1) / 2 * scale), round((y1 + y2 - 1) / 2 * scale))
    return cv2.ellipse(image, center, (round((x2 - x1) / 2 * scale), round((y2 - y1) / 2 * scale)), 0, 0, 360,
                       (255, 255, 255), cv2.FILLED, cv2.LINE_AA, 4)


def extent(image):
    """The box of what is bright."""
    rows, columns = np.nonzero(image[..., 0] > 127)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("degrees", [0, 30, 45, 90])
def test_a_turned_box_holds_the_turned_face(degrees):
    image, boxes = robustness.turned(marked(FACE[0]), FACE, degrees)
    np.testing.assert_allclose(boxes[0], extent(image), atol=1.5)
    if degrees == 90:
        assert image.shape == (120, 90, 3)


@pytest.mark.parametrize("side, left", [("left", [0, 20, 10, 50]), ("top", [40, 0, 60, 15]),
                                        ("bottom", [40, 20, 60, 35]), ("right", [40, 20, 50, 50])])
def test_a_border_leaves_half_of_the_face(side, left):
    """The white ellipse is cut through its center, and the true box is that of what is left."""
    image, boxes = robustness.cut(marked(FACE[0]), FACE[0], side)
    np.testing.assert_allclose(boxes, [left])
    np.testing.assert_allclose(extent(image), left, atol=1)
    assert not np.shares_memory(image, robustness.cut(image, boxes[0], side)[0])


def test_a_cut_image_keeps_the_surroundings_that_it_has():
    image = np.zeros((1000, 1000, 3), np.uint8)
    part, boxes = robustness.cut(image, np.array([500, 500, 520, 530], np.float32), "left")
    assert part.shape == (2 * 4 * 30, 4 * 30, 3)                  # below and above, and on the right, 4 longer sides
    np.testing.assert_allclose(boxes, [[0, 105, 10, 135]])


@pytest.mark.parametrize("side", ["left", "top", "bottom", "right"])
def test_of_a_face_that_leaves_the_image_half_of_what_shows_is_left(side):
    """16 of its 70 px show, then nothing; a label may say so."""
    image = np.zeros((90, 120, 3), np.uint8)
    part, boxes = robustness.cut(image, np.array([104, 40, 174, 70], np.float32), side)
    assert part.size and bx.area(boxes) == [16 * 30 / 2]
    for beside in ([130, 40, 170, 70], [40, 90, 70, 120], [-50, -50, -1, -1], [118, 89, 122, 91]):
        part, boxes = robustness.cut(image, np.array(beside, np.float32), side)
        assert part.size and boxes.shape == (1, 4)


@pytest.mark.parametrize("change", robustness.CHANGES)
def test_every_change_gives_a_box_a_face_and_leaves_the_image_alone(scene, change):
    faces, before = np.array([[10, 10, 40, 50], [60, 20, 90, 60]], np.float32), scene.copy()
    made = robustness.changed(scene, faces, change, np.random.default_rng(0))
    assert sum(len(boxes) for _, boxes in made) == 2
    assert all(image.dtype == np.uint8 and (bx.area(boxes) > 0).all() for image, boxes in made)
    assert (scene == before).all()
    same = [image.shape == scene.shape and bool((image == scene).all()) for image, _ in made]
    assert all(same) == (change == "none")


def test_colors(scene):
    rng = np.random.default_rng(0)
    assert (robustness.swapped(scene, rng)[..., 0] == scene[..., 2]).all()
    assert np.ptp(robustness.gray(scene, rng), axis=2).max() == 0
    assert abs(robustness.darker(scene, rng).mean() / scene.mean() - 0.25) < 0.01
    assert robustness.brighter(np.full((2, 2, 3), 200, np.uint8), rng).min() == 255
    gray = np.full((200, 200, 3), 128, np.uint8)
    assert abs(robustness.noisy(gray, rng).std() - 25) < 0.3 and abs(robustness.noisy(gray, rng).mean() - 128) < 0.3
    assert np.abs(robustness.compressed(scene, rng).astype(int) - scene).mean() > 1


def test_recall_and_its_interval():
    """Three of four faces found; images without a face do not count; the interval holds the recall."""
    row = robustness.recall([np.array([True, True]), np.array([True, False]), np.zeros(0, bool)])
    assert row["faces"] == 4 and row["recall"] == 0.75 and row["interval"] == [0.5, 1]
    sure = robustness.recall([np.ones(3, bool)] * 5)
    assert sure["interval"] == [1, 1]


@pytest.fixture
def data(tmp_path):
    """Two images with a bright box as the face, one of them with a face too small to count, and an image without a
    face, in the official form."""
    (tmp_path / "WIDER_val/images/0--Sky").mkdir(parents=True)
    (tmp_path / "wider_face_split").mkdir()
    lines = []
    for name, rows in (("a", [[40, 30, 30, 40]]), ("b", [[100, 60, 40, 40], [10, 10, 9, 9]]), ("c", [])):
        image = np.full((160, 200, 3), 40, np.uint8)
        for x, y, w, h in rows[:1]:
            image[y:y + h, x:x + w] = 230
        cv2.imwrite(str(tmp_path / f"WIDER_val/images/0--Sky/{name}.png"), image)
        rows = rows or [[0, 0, 0, 0]]
        lines += [f"0--Sky/{name}.png", str(len(rows)), *(" ".join(map(str, row + [0] * 6)) for row in rows)]
    (tmp_path / "wider_face_split/wider_face_val_bbx_gt.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "bright.py").write_text(
        "import cv2\n"
        "def boxes(image):\n"
        "    x, y, w, h = cv2.boundingRect((image[..., 0] > 150).astype('uint8'))\n"
        "    return [[x, y, x + w, y + h]] if w else []\n")
    return tmp_path


def test_a_hooked_detector_is_measured(data, script):
    """It finds what is brighter than 150: all where nothing changes, nothing at a quarter of the brightness."""
    out = script(SCRIPT, "--data", data, "--detector", "bright:boxes", "--out", data / "out", "--json", data / "n.json",
                 "--workers", 1, cwd=data)
    rows = json.loads((data / "n.json").read_text())
    assert list(rows) == list(robustness.CHANGES) and all(row["faces"] == 2 for row in rows.values())
    assert rows["none"]["recall"] == rows["half cut by the left border"]["recall"] == 1
    assert rows["a quarter of the brightness"]["recall"] == 0
    assert "half cut by the top border" in out.stdout
    assert (data / "out/robustness.png").read_bytes().startswith(b"\x89PNG")


def test_the_shipped_weights_run(data, script):
    script(SCRIPT, "--data", data, "--out", data / "out", "--workers", 1, "--every", 2, "--json", data / "n.json")
    assert json.loads((data / "n.json").read_text())["none"]["faces"] == 1


@pytest.mark.parametrize("name", ["nowhere:f", "json:nothing", "json", ":", "bright:boxes"])
def test_a_detector_that_cannot_be_imported_is_named(name):
    with pytest.raises(UserError, match=name):
        robustness.hook(name)


@pytest.mark.parametrize("returned", [np.zeros((4, 5)), np.zeros((3, 5)), np.zeros(4), [[1, 2, 3, 4], [5]], None])
def test_a_detector_that_returns_something_else_is_told(returned):
    with pytest.raises(UserError, match=r"--detector own:f: returns .* where boxes \(N, 4\), x1 y1 x2 y2 in px"):
        robustness.boxes_of(returned, "own:f")


@pytest.mark.parametrize("returned", [[], np.zeros((0, 5)), np.zeros(0)])
def test_a_detector_that_finds_nothing_may_say_so_in_any_shape(returned):
    assert robustness.boxes_of(returned, "own:f").shape == (0, 4)


def test_no_face_large_enough_is_an_error(data, script):
    done = script(SCRIPT, "--data", data, "--detector", "bright:boxes", "--min-truth", 100, cwd=data, code=2)
    assert "no valid face of 100 px" in done.stderr + done.stdout


