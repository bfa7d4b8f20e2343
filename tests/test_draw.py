"""Drawing and blurring change what they should, and nothing else."""
import cv2
import numpy as np
import pytest

from detection import Faces
from detection.media.draw import blur, draw, explain, status


def faces(*boxes):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    points = boxes[:, None, :2] + (boxes[:, 2:] - boxes[:, :2])[:, None] * np.float32(
        [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return Faces(boxes, np.full(len(boxes), 0.9, np.float32), points)


@pytest.fixture
def noise(rng):
    return rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)


@pytest.mark.parametrize("change", [draw, blur, lambda image, found: explain(image, [found] * 3),
                                    lambda image, found: status(image, "text")])
def test_the_image_itself_stays_as_it_is(noise, change):
    before = noise.copy()
    change(noise, faces([10, 20, 110, 140], [-50, -50, 30, 30]))
    np.testing.assert_array_equal(noise, before)


def test_no_faces_change_nothing(noise):
    np.testing.assert_array_equal(draw(noise, Faces()), noise)
    np.testing.assert_array_equal(blur(noise, Faces()), noise)


def test_blur_leaves_all_but_the_face_as_it_is(noise):
    changed = (blur(noise, faces([100, 60, 180, 160])) != noise).any(axis=2)
    assert changed[60:160, 100:180].mean() > 0.98
    changed[45:175, 88:192] = False                        # the box with 15 % of its sides around it
    assert not changed.any()


@pytest.mark.parametrize("side", [8, 40, 160])
def test_a_blurred_face_keeps_a_few_colors_whatever_its_size(rng, side):
    """Two faces that differ only in what is finer than a quarter of them come out (almost) the same."""
    cells = rng.integers(60, 196, (8, 8, 3))
    image = np.kron(cells, np.ones((side // 4, side // 4, 1))).astype(np.uint8)        # (2 side, 2 side)
    other = image.astype(int)
    other[::2] += 50
    other[1::2] -= 50
    found = faces([side / 2, side / 2, side * 1.5, side * 1.5])
    inside = slice(side // 2, side * 3 // 2)
    before = np.abs(other[inside, inside] - image[inside, inside].astype(int)).mean()
    after = np.abs(blur(other.astype(np.uint8), found)[inside, inside].astype(int) - blur(image, found)[inside, inside])
    assert before > 45 and after.mean() < 8


def test_a_blurred_image_has_no_detail_left_in_its_face():
    from config import PICTURE
    from detection.images import read
    image, found = read(PICTURE / "astronaut.jpg"), faces([179, 63, 272, 174])
    detail = [np.abs(cv2.Laplacian(picture[63:174, 179:272], cv2.CV_64F)).mean()
              for picture in (image, blur(image, found))]
    assert detail[1] < 0.1 * detail[0]


@pytest.mark.parametrize("box", [[-40, -40, 20, 20], [280, 180, 400, 300], [-500, -500, -400, -400], [5, 5, 5, 5],
                                 [-1e4, -1e4, 1e4, 1e4]])
def test_boxes_beyond_the_edges(noise, box):
    assert blur(noise, faces(box)).shape == draw(noise, faces(box)).shape == noise.shape


@pytest.mark.parametrize("shape", [(500, 200), (200, 500), (20, 20), (1, 400)])
def test_explaining_sheet_stands_three_pictures_side_by_side(shape):
    sheet = explain(np.zeros((*shape, 3), np.uint8), [faces([1, 1, 9, 9], [3, 3, 9, 9]), faces([1, 1, 9, 9]), Faces()])
    assert sheet.shape[1] % 3 == 0 and sheet.shape[1] >= 3 * 400


def test_explaining_sheet_is_green_where_kept_and_red_where_dropped():
    kept, dropped = [20, 20, 60, 60], [100, 100, 160, 160]
    sheet = explain(np.zeros((200, 200, 3), np.uint8), [faces(kept, dropped), faces(kept), faces(kept)]).astype(int)
    panels = np.split(sheet, 3, axis=1)
    scale, left, top = 4, 4, 32                            # 200 px shown as 800, below the title

    def color(panel, box):
        x, y = round((box[0] + box[2]) / 2 * scale) + left, box[1] * scale + top
        line = panel[y - 1:y + 2, x].max(axis=0)
        return "green" if line[1] > 150 else "red" if line[2] > 150 else None
    assert [color(panel, kept) for panel in panels] == ["green"] * 3
    assert [color(panel, dropped) for panel in panels] == ["green", "red", None]


def test_explaining_sheet_of_a_picture_without_faces():
    assert explain(np.zeros((90, 90, 3), np.uint8), [Faces()] * 3).shape[1] % 3 == 0
