"""evaluate/fddb.py on made-up images in the official layout."""
import json

import cv2
import numpy as np
import pytest

from conftest import ROOT

SCRIPT = "evaluate/fddb.py"
FOLDS = {"01": {"2002/08/img_1": ["20 20 0.0 50 50  1"], "2002/08/img_2": []},
         "02": {"2003/01/img_3": ["30 18 1.5708 60 50  1", "10 8 1.5 110 90 1"]}}
BOXES = {"2002/08/img_1": ["30 30 40 40 0.9"], "2002/08/img_2": [], "2003/01/img_3": ["42 20 36 60 0.8",
                                                                                     "102 80 16 20 0.7"]}


def text(images):
    return "".join("\n".join([name, str(len(rows)), *rows]) + "\n" for name, rows in images.items())


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def data(tmp_path):
    """Three gray images in two folds, their three faces, a box around each ellipse as detections in found/."""
    for fold, images in FOLDS.items():
        write(tmp_path / "FDDB" / "FDDB-folds" / f"FDDB-fold-{fold}-ellipseList.txt", text(images))
        write(tmp_path / "found" / f"fold-{fold}-out.txt", text({name: BOXES[name] for name in images}))
        for name in images:
            path = tmp_path / "FDDB" / "originalPics" / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((120, 140, 3), 128, np.uint8))
    return tmp_path


def measure(data, script):
    script(SCRIPT, "--data", data, "--results", data / "found", "--out", data / "out", "--json", data / "n.json",
           "--workers", 1)
    return json.loads((data / "n.json").read_text())


def test_boxes_around_the_faces_find_them_all(data, script):
    """An ellipse fills pi / 4 = 0.785 of the box around it: over 0.5, and less than 1 in the continuous measure."""
    numbers = measure(data, script)
    assert (numbers["folds"], numbers["images"], numbers["faces"]) == (2, 3, 3)
    assert set(numbers["rates"]["discrete"].values()) == {1}
    assert numbers["rates"]["continuous"]["100"] == pytest.approx(np.pi / 4, abs=0.03)
    assert (data / "out" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_curve_files_worked_by_hand(data, script):
    """By score: a false one, 0 of 3 faces at 1 false positive; then the face of img_1; the others are not found."""
    write(data / "found" / "fold-01-out.txt", text({"2002/08/img_1": ["30 30 40 40 0.6"],
                                                    "2002/08/img_2": ["10 10 30 30 0.9"]}))
    write(data / "found" / "fold-02-out.txt", text({"2003/01/img_3": []}))
    measure(data, script)
    assert (data / "out" / "DiscROC.txt").read_text() == "0.333333333 1 0.6\n0 1 0.9\n"
    rates = [line.split() for line in (data / "out" / "ContROC.txt").read_text().splitlines()]
    assert [fp for _, fp in rates] == ["1", "1"] and float(rates[0][0]) == pytest.approx(np.pi / 4 / 3, abs=0.01)


def test_the_detectors_files_are_what_is_scored(data, script):
    """The face of picture/astronaut.jpg in place of an image; nothing in the gray ones."""
    import shutil
    shutil.copy(ROOT / "picture" / "astronaut.jpg", data / "FDDB" / "originalPics" / "2002" / "08" / "img_1.jpg")
    write(data / "FDDB" / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt",
          text({"2002/08/img_1": ["60 47 1.5708 225 115 1"], "2002/08/img_2": []}))
    (data / "FDDB" / "FDDB-folds" / "FDDB-fold-02-ellipseList.txt").unlink()
    script(SCRIPT, "--data", data, "--out", data / "out", "--json", data / "n.json", "--workers", 1, "--min-face", 40,
           "--thresholds", 0.6, 0.7, 0.7)
    assert json.loads((data / "n.json").read_text())["rates"]["discrete"]["100"] == 1
    lines = (data / "out" / "fold-01-out.txt").read_text().splitlines()
    assert lines[:2] == ["2002/08/img_1", "1"] and lines[3:] == ["2002/08/img_2", "0"]


def no_folds(data):
    return ["--folds", data], "no FDDB-fold-*-ellipseList.txt with faces is there"


def broken_fold(data):
    write(data / "FDDB" / "FDDB-folds" / "FDDB-fold-02-ellipseList.txt", "2003/01/img_3\n1\n30 18 1.5708 60 50\n")
    return [], "FDDB-fold-02-ellipseList.txt:3: 5 numbers where 6 are expected"


def negative_radius(data):
    write(data / "FDDB" / "FDDB-folds" / "FDDB-fold-02-ellipseList.txt", "2003/01/img_3\n1\n30 -18 1.5708 60 50 1\n")
    return ["--results", data / "found"], "FDDB-fold-02-ellipseList.txt:3: a radius of -18 px is negative"


def the_same_image_twice(data):
    path = data / "found" / "fold-01-out.txt"
    write(path, path.read_text() + "2002/08/img_1\n0\n")
    return ["--results", data / "found"], "fold-01-out.txt:6: 2002/08/img_1 is there for the second time"


def no_results(data):
    return ["--results", data], "fold-01-out.txt: cannot be read"


def other_results(data):
    write(data / "found" / "fold-02-out.txt", text({"2003/01/img_3": [], "beach": []}))
    return ["--results", data / "found"], "fold-02-out.txt: beach is no image of the fold"


def no_images(data):
    return ["--results", data / "found", "--images", data], "no usable images in it"


@pytest.mark.parametrize("breakage", [no_folds, broken_fold, negative_radius, the_same_image_twice, no_results,
                                      other_results, no_images])
def test_wrong_input_is_one_plain_sentence(breakage, data, script):
    options, message = breakage(data)
    error = script(SCRIPT, "--data", data, "--out", data / "out", "--workers", 1, *options, code=2).stderr
    assert message in error.splitlines()[-1] and error.splitlines()[-1].startswith("error: ")
