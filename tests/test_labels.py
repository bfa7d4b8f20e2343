"""Label files as they are published: every line gives its boxes, or is named, counted and skipped."""
import numpy as np
import pytest

from detection.errors import UserError
from preprocess import labels
from preprocess.labels import landmarks as landmark_lists
from preprocess.labels import wider as wider_lists

OFFICIAL = """0--Parade/a b.jpg
2
10 20 30 40 0 0 0 0 0 0
1.5 2.5 3 4 2 0 0 1 0 0
0--Parade/none.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Other/游行.jpg
1
5 5 50 60 0 0 0 0 0 0
"""


def write(tmp_path, text, name="list.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("change", [str, lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t,
                                    lambda t: t.replace("0 0 0 0 0 0 0 0 0 0\n", "", 1),
                                    lambda t: t.replace("\n", " \n") + "\n\n"],
                         ids=["as it is", "CRLF", "BOM", "no line of zeros", "blanks"])
def test_official_list(tmp_path, change):
    images = wider_lists.read(write(tmp_path, change(OFFICIAL)), "WIDER_train/images")
    assert [p.path for p in images] == [f"WIDER_train/images/{n}" for n in
                                        ("0--Parade/a b.jpg", "0--Parade/none.jpg", "1--Other/游行.jpg")]
    np.testing.assert_allclose(images[0].boxes, [[10, 20, 40, 60], [1.5, 2.5, 4.5, 6.5]])
    assert images[0].invalid.tolist() == [False, True]
    assert images[1].boxes.shape == (0, 4) and images[1].invalid.shape == (0,)


def test_one_line_form(tmp_path):
    path = write(tmp_path, "0--Parade/a b 1 2 31 42 5 5 9 9\n0--Parade/none\n")
    images = wider_lists.read(path, "images")
    assert [p.path for p in images] == ["images/0--Parade/a b.jpg", "images/0--Parade/none.jpg"]
    np.testing.assert_array_equal(images[0].boxes, [[1, 2, 31, 42], [5, 5, 9, 9]])
    assert images[1].boxes.shape == (0, 4)


@pytest.mark.parametrize("faceless", [[0], [0, 1, 2, 3, 4, 5], [7], [9]])
@pytest.mark.parametrize("extension", [".jpg", ""])
def test_a_one_line_list_is_read_wherever_its_images_without_a_face_are(tmp_path, faceless, extension):
    lines = [f"e/{i}.jpg" if i in faceless else f"e/{i}{extension} 1 2 31 42" for i in range(10)]
    images = wider_lists.read(write(tmp_path, "\n".join(lines)), "images")
    assert [image.path for image in images] == [f"images/e/{i}.jpg" for i in range(10)]
    assert [i for i, image in enumerate(images) if not len(image.boxes)] == faceless


@pytest.mark.parametrize("broken", ["", "5 5 50 60 0 0 0 0 0 0\n", "x\n", "e/more.jpg\n"])
def test_an_official_list_whose_first_entry_is_broken_is_read(tmp_path, capsys, broken):
    assert len(wider_lists.read(write(tmp_path, f"e/bad.jpg\n{broken}{GOOD}"), "images")) == 60
    assert "the number of its faces is expected" in capsys.readouterr().out


def test_landmark_list_is_left_right_top_bottom(tmp_path):
    path = write(tmp_path, "lfw_5590\\x.jpg 84 161 92 169 106 107 146 112 125 142 105 157 139 161\n")
    image, = landmark_lists.read(path)
    assert image.path == "lfw_5590/x.jpg"
    np.testing.assert_array_equal(image.boxes, [[84, 92, 161, 169]])
    np.testing.assert_array_equal(image.points[0], [[106, 107], [146, 112], [125, 142], [105, 157], [139, 161]])


GOOD = "".join(f"e/{i}.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n" for i in range(60))
BROKEN = {"word for a number": "e/bad.jpg\n1\n5 5 x 60 0 0 0 0 0 0\n",
          "NaN": "e/bad.jpg\n1\n5 5 nan 60 0 0 0 0 0 0\n",
          "huge": "e/bad.jpg\n1\n5 5 1e30 60 0 0 0 0 0 0\n",
          "missing number": "e/bad.jpg\n1\n5 5 60 0 0 0 0 0 0\n",
          "count too high": "e/bad.jpg\n3\n5 5 50 60 0 0 0 0 0 0\n",
          "count too low": "e/bad.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n5 5 50 60 0 0 0 0 0 0\n",
          "no count": "e/bad.jpg\n5 5 50 60 0 0 0 0 0 0\n",
          "way out": "../bad.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n",
          "listed twice": "e/0.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n"}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_entry_is_named_counted_and_skipped_alone(tmp_path, capsys, broken):
    path = write(tmp_path, "e/0.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n" + broken + GOOD.split("\n", 3)[3])
    images = wider_lists.read(path, "i")
    out = capsys.readouterr().out
    assert out.count("skipped:") == 1 and f"{path}:" in out
    assert {p.path for p in images} >= {f"i/e/{i}.jpg" for i in range(60)}


def test_a_second_entry_of_an_image_is_named_by_its_own_first_line_and_that_of_the_first(tmp_path, capsys):
    entry = "e/0.jpg\n3\n" + "5 5 50 60 0 0 0 0 0 0\n" * 3                    # lines 1 to 5, then 183 to 187
    path = write(tmp_path, entry + GOOD.split("\n", 3)[3] + entry.replace(" 60 ", " 70 "))
    assert len(path.read_text().splitlines()) == 5 + 59 * 3 + 5
    wider_lists.read(path, "i")
    assert f"skipped: {path}:183: i/e/0.jpg is listed a second time, first at {path}:1\n" in capsys.readouterr().out


@pytest.mark.parametrize("broken, line", [("e/bad.jpg\n2\n5 5 50 60 0 0 0 0 0 0\n5 5 x 60 0 0 0 0 0 0\n", 4),
                                          ("e/bad.jpg\n3\n5 5 50 60 0 0 0 0 0 0\n", 1),
                                          ("e/bad.jpg\n5 5 50 60 0 0 0 0 0 0\n", 1)])
def test_a_broken_entry_is_named_by_its_broken_line_or_by_its_first(tmp_path, capsys, broken, line):
    path = write(tmp_path, GOOD + broken + GOOD.replace("e/", "f/"))
    wider_lists.read(path, "i")
    assert f"skipped: {path}:{180 + line}: " in capsys.readouterr().out


def test_a_label_is_checked_in_one_place_whatever_its_form():
    image = labels.annotate("a.jpg", [[0, 0, 9, 9], [5, 5, 5, 9]], [True, False])
    assert image.invalid.tolist() == [True, True] and image.boxes.dtype == np.float32
    assert image.points.shape == (2, 5, 2) and np.isnan(image.points).all() and image.complete
    some = np.full((1, 5, 2), np.nan)
    some[0, 2] = 4, 5
    np.testing.assert_array_equal(labels.annotate("a.jpg", [[0, 0, 9, 9]], points=some).points, some)
    for wrong in ({"path": "../a.jpg"}, {"boxes": [[0, 0, np.nan, 9]]}, {"boxes": [[0, 0, 9e9, 9]]},
                  {"points": [[[1e9, 0]] * 5]}, {"points": [[[1, 1]] * 4]}, {"points": [[[1, 1]] * 5] * 2},
                  {"invalid": [True, True]}, {"boxes": [[9, 0, 0, 9]], "points": [[[1, 1]] * 5]}):
        with pytest.raises(labels.BadLabel):
            labels.annotate(**{"path": "a.jpg", "boxes": [[0, 0, 9, 9]], **wrong})


def test_too_many_broken_entries_are_an_error(tmp_path):
    with pytest.raises(UserError, match="list.txt"):
        wider_lists.read(write(tmp_path, GOOD[:200] + BROKEN["NaN"]), "i")


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", "e/a.jpg\n", "e/a.jpg\nx\n"])
def test_nothing_usable_is_an_error(tmp_path, text):
    with pytest.raises(UserError, match="list.txt"):
        wider_lists.read(write(tmp_path, text), "i")
    with pytest.raises(UserError, match="list.txt"):
        landmark_lists.read(write(tmp_path, text))


@pytest.mark.parametrize("count, message", [(13, "13 numbers where 14"), (16, "more than 14 numbers")])
def test_a_line_with_fewer_or_more_numbers_than_its_points_need_is_named(tmp_path, capsys, count, message):
    good = "".join(f"net 7876\\{i}.jpg 0 9 0 9 1 1 2 2 3 3 4 4 5 5\n" for i in range(60))
    path = write(tmp_path, good + f"bad.jpg 0 9{' 1' * (count - 2)}\n")
    assert len(landmark_lists.read(path)) == 60
    assert f"{path}:61: {message}" in capsys.readouterr().out


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="nothing.txt"):
        wider_lists.read(tmp_path / "nothing.txt", "i")
    with pytest.raises(UserError, match="trainImageList.txt"):
        labels.find(tmp_path, landmark_lists.TRAIN_LIST)


def test_split_takes_invalid_and_small_faces_out():
    boxes = np.array([[0, 0, 30, 10], [0, 0, 19, 19], [0, 0, 50, 50]], np.float32)
    truth, ignored = labels.split(labels.annotate("x", boxes, np.array([False, False, True])), 20)
    np.testing.assert_array_equal(truth, boxes[:1])
    np.testing.assert_array_equal(ignored, boxes[1:])


def test_an_official_face_of_negative_size_is_invalid_and_the_others_of_its_image_stay(tmp_path):
    """The published list has some: a face beyond the right border whose width was cut to the image."""
    path = tmp_path / "list.txt"
    path.write_text("a/b.jpg\n2\n10 20 30 40 0 0 0 0 0 0\n1050 142 -26 50 0 0 0 0 0 0\n")
    image, = wider_lists.read(path, "images")
    assert image.invalid.tolist() == [False, True] and image.boxes[0].tolist() == [10, 20, 40, 60]
