"""The drawn sample has the form of the official downloads, and its numbers fit its pictures."""
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "data" / "make_sample.py"
SMALL = ("--images", "5", "--val-images", "2", "--landmark-images", "20")


def make_sample(*arguments):
    """Runs the script -> exit code, what it printed, what it complained about."""
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def contents(folder):
    """{path below the folder: bytes} of all files."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_wider_list(path):
    """The official list, taken literally -> {name: (N, 10) int}; a count of 0 must be followed by ten zeros."""
    lines, faces = iter(path.read_text().splitlines()), {}
    for name in lines:
        count = int(next(lines))
        rows = np.array([next(lines).split() for _ in range(max(count, 1))], int)
        assert rows.shape[1] == 10
        assert count or not rows.any()
        faces[name] = rows[:count]
    return faces


def read_landmark_list(path):
    """-> {name with backslash: (left, right, top, bottom), (5, 2)}."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return {row[0]: (np.array(row[1:5], int), np.array(row[5:], float).reshape(5, 2)) for row in rows}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "one"
    code, _, complaint = make_sample("--out", out, "--workers", 1, *SMALL)
    assert code == 0, complaint
    return out


@pytest.mark.parametrize("kind, images", [("train", 5), ("val", 2)])
def test_wider_list_fits_its_images(sample, kind, images):
    listed = read_wider_list(sample / "wider_face_split" / f"wider_face_{kind}_bbx_gt.txt")
    assert len(listed) == images
    for name, faces in listed.items():
        height, width = cv2.imread(str(sample / f"WIDER_{kind}" / "images" / name)).shape[:2]
        x, y, w, h = faces[:, :4].T
        assert (x >= 0).all() and (y >= 0).all() and (w > 0).all() and (h > 0).all()
        assert (x + w <= width).all() and (y + h <= height).all()


def test_some_images_show_no_face_and_some_show_many(sample):
    counts = [len(faces) for faces in read_wider_list(sample / "wider_face_split/wider_face_train_bbx_gt.txt").values()]
    assert min(counts) == 0 and max(counts) >= 5


def test_train_and_val_are_different_images(sample):
    train, val = (sorted(sample.glob(f"WIDER_{kind}/images/*/*_00000.jpg")) for kind in ("train", "val"))
    assert len(train) == len(val) == 1 and train[0].read_bytes() != val[0].read_bytes()


def test_points_lie_inside_their_box_and_left_is_the_viewers_left(sample):
    lists = [read_landmark_list(sample / name) for name in ("trainImageList.txt", "testImageList.txt")]
    assert [len(entries) for entries in lists] == [18, 2]
    assert not lists[0].keys() & lists[1].keys()
    for name, ((left, right, top, bottom), points) in (lists[0] | lists[1]).items():
        folder, file = name.split("\\")
        height, width = cv2.imread(str(sample / folder / file)).shape[:2]
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert ((left, top) < points).all() and (points < (right, bottom)).all()
        left_eye, right_eye, _, left_mouth, right_mouth = points
        assert left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0]


def test_every_picture_is_listed(sample):
    listed = {Path(name) for kind in ("train", "val") for name in read_wider_list(
        sample / "wider_face_split" / f"wider_face_{kind}_bbx_gt.txt")}
    listed |= {Path(*name.split("\\")) for text in ("trainImageList.txt", "testImageList.txt")
               for name in read_landmark_list(sample / text)}
    assert {Path(*path.parts[-2:]) for path in sample.rglob("*.jpg")} == listed


def test_number_of_workers_changes_no_byte(sample, tmp_path):
    assert make_sample("--out", tmp_path / "two", "--workers", 2, *SMALL)[0] == 0
    assert contents(tmp_path / "two") == contents(sample)


def test_second_call_draws_nothing(sample):
    before = {path: path.stat().st_mtime_ns for path in sample.rglob("*")}
    code, said, _ = make_sample("--out", sample, *SMALL)
    assert code == 0 and "already" in said
    assert {path: path.stat().st_mtime_ns for path in sample.rglob("*")} == before


@pytest.mark.parametrize("arguments", [("--images", 0), ("--seed", "x"), ("--seed", -1), ("--workers", 0), ("--what",)])
def test_wrong_argument_is_one_sentence(arguments, tmp_path):
    code, _, complaint = make_sample("--out", tmp_path / "new", *arguments)
    assert code == 2 and complaint.count("\n") == 1 and not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["{", "", "[]", "7", "\xff"])
def test_a_damaged_note_is_one_sentence_and_force_draws_the_sample_again(tmp_path, sample, text):
    (tmp_path / "sample.json").write_text(text, encoding="latin-1")
    code, _, complaint = make_sample("--out", tmp_path, *SMALL)
    assert code == 2 and complaint == f"error: {tmp_path / 'sample.json'}: is damaged; add --force, which draws the " \
                                      "sample again\n"
    if text == "{":
        assert make_sample("--out", tmp_path, "--force", *SMALL)[0] == 0 and contents(tmp_path) == contents(sample)


def test_other_peoples_files_are_left_alone(tmp_path):
    (tmp_path / "trainImageList.txt").write_text("mine")
    code, _, complaint = make_sample("--out", tmp_path, *SMALL)
    assert code == 2 and complaint.count("\n") == 1
    assert contents(tmp_path) == {Path("trainImageList.txt"): b"mine"}
