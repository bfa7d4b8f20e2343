"""evaluate/landmarks.py on made-up lists and, where they are available, on real ones."""
import json
import shutil

import pytest

from conftest import ROOT

SCRIPT = "evaluate/landmarks.py"
EYES, REST = [[10, 10], [30, 10]], [[20, 20], [12, 30], [28, 30]]      # 20 px apart
SHARED = ROOT.parent / "shared" / "data"


def face(points, score=0.9):
    return {"box": [0, 0, 40, 40], "score": score, "landmarks": points}


@pytest.fixture
def data(tmp_path):
    """Two images in a list of each form, both with the points above; MTFL counts pixels from 1."""
    points = EYES + REST
    flat = " ".join(f"{v}" for point in points for v in point)
    (tmp_path / "testImageList.txt").write_text(f"lfw\\a.jpg 5 35 5 35 {flat}\nlfw\\b.jpg 5 35 5 35 {flat}\n")
    flat = " ".join(f"{point[axis] + 1}" for axis in (0, 1) for point in points)
    (tmp_path / "testing.txt").write_text(f" lfw\\a.jpg {flat} 1 2 2 3\n lfw/b.jpg {flat} 2 1 2 5\n \n")
    return tmp_path


def measure(data, script, faces, *options):
    (data / "faces.json").write_text(json.dumps(faces))
    script(SCRIPT, "--data", data, "--results", data / "faces.json", "--out", data / "out", "--json", data / "n.json",
           *options)
    return json.loads((data / "n.json").read_text())


@pytest.mark.parametrize("form", [(), ("--mtfl",)])
def test_perfect_points_have_no_error(form, data, script):
    perfect = face(EYES + REST)
    numbers = measure(data, script, {"lfw/a.jpg": [perfect], "lfw/b.jpg": [perfect, face(REST + EYES, 0.2)]}, *form)
    assert (numbers["faces"], numbers["missed"], numbers["mean_error"], numbers["over_0.1"]) == (2, 0, 0, 0)
    assert len(list((data / "out").glob("*.png"))) == 1


def test_errors_worked_by_hand(data, script):
    """In a, the right eye is 10 px off, half of the 20 px between the eyes: 0.5 / 5 points = 0.1, not over 10 %.
    In b, nothing is found: the box beside the face does not count."""
    off = [[10, 10], [30, 20]] + REST
    elsewhere = {"box": [50, 50, 90, 90], "score": 1, "landmarks": EYES + REST}
    numbers = measure(data, script, {"lfw/a.jpg": [face(off)], "lfw/b.jpg": [elsewhere]})
    assert (numbers["missed"], numbers["over_0.1"]) == (1, 0)
    assert numbers["mean_error"] == pytest.approx(0.1) and numbers["points"]["right eye"] == pytest.approx(0.5)


def test_the_detector_finds_the_shipped_picture(data, script):
    """Points read off picture/astronaut.jpg by eye; the shipped weights come within a tenth of the eyes' distance."""
    shutil.copy(ROOT / "picture" / "astronaut.jpg", data)
    (data / "testImageList.txt").write_text("astronaut.jpg 180 272 62 176 202 101 245 103 223 125 203 139 246 140\n")
    script(SCRIPT, "--data", data, "--out", data / "out", "--json", data / "n.json", "--workers", 1)
    numbers = json.loads((data / "n.json").read_text())
    assert numbers["missed"] == 0 and 0 < numbers["mean_error"] < 0.1


def no_list(data):
    (data / "testImageList.txt").unlink()
    return [], "holds none of testImageList.txt"


def no_images(data):
    return ["--workers", 1], "testImageList.txt: no usable images in it"


def same_eyes(data):
    (data / "testing.txt").write_text("a.jpg 7 7 9 5 8 7 7 9 12 12 1 1 1 1\n")
    return ["--mtfl"], "left eye and right eye of a.jpg are at the same place"


def broken_json(data):
    (data / "faces.json").write_text('{"lfw/a.jpg":\n [}')
    return ["--results", data / "faces.json"], "faces.json:2: is not JSON"


def no_points(data):
    (data / "faces.json").write_text('{"lfw/a.jpg": [{"box": [0, 0, 9, 9], "score": 1}]}')
    return ["--results", data / "faces.json"], "faces.json: does not hold box, score and 5 landmarks"


def other_images(data):
    (data / "faces.json").write_text('{"beach.jpg": []}')
    return ["--results", data / "faces.json"], "lfw/a.jpg is not in it"


@pytest.mark.parametrize("breakage", [no_list, no_images, same_eyes, broken_json, no_points, other_images])
def test_wrong_input_is_one_plain_sentence(breakage, data, script):
    options, message = breakage(data)
    error = script(SCRIPT, "--data", data, "--out", data / "out", *options, code=2).stderr.splitlines()[-1]
    assert message in error and error.startswith("error: ")


@pytest.mark.skipif(not (SHARED / "testImageList.txt").is_file(), reason="the real lists are not there")
def test_the_real_list_holds_577_faces():
    from preprocess.labels.landmarks import read as read_landmarks
    assert len(read_landmarks(SHARED / "testImageList.txt")) == 577
