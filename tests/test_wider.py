"""evaluate/wider.py on a benchmark of three images."""
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import ROOT, WIDER_FACES, wider_benchmark
from detection import boxes as bx
from detection import images
from evaluate import wider
from experiments import ablation_detector

SCRIPT = "evaluate/wider.py"
WIDER_DATA = ROOT.parent / "shared" / "data"
FACES = WIDER_FACES


@pytest.fixture
def data(tmp_path):
    return wider_benchmark(tmp_path)


def results(folder, detections):
    """{event/image: rows x y w h score} -> result files; the folder."""
    for name, rows in detections.items():
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([name.split("/")[1], str(len(rows)), *(" ".join(map(str, row)) for row in rows)]))
    return folder


PERFECT = {name: [[*face, 0.9] for face in faces if any(face)] for name, faces in FACES.items()}


def aps(path):
    return {name: row["ap"] for name, row in json.loads(Path(path).read_text())["sets"].items()}


def test_perfect_results_score_one(data, script):
    found = results(data / "found", PERFECT)
    out = script(SCRIPT, "--data", data, "--results", found, "--out", data / "out", "--json", data / "n.json").stdout
    assert "3 of the 3 images" in out and aps(data / "n.json") == {"easy": 1, "medium": 1, "hard": 1}
    assert (data / "out" / "precision_recall.png").read_bytes().startswith(b"\x89PNG")


def test_scores_worked_by_hand(data, script):
    """easy: by score, two's first face, right, 1 of 1; a wrong one, 1 of 2; two's second, right, 2 of 3; the
    astronaut is missed. 1/3 * 1 + 1/3 * 2/3 = 5/9. The third face is only of medium (3 of 4 faces found, precision 1,
    then 3/4 to the last: 2/4 + 1/4 * 3/4 = 11/16) and of hard (1 right, then 1 wrong; others are not judged: 1)."""
    rows = [[0, 0, 9, 9, 0.9], [200, 0, 9, 9, 0.8], [300, 0, 9, 9, 0.7], [100, 0, 9, 9, 0.6]]
    found = results(data / "found", {"0--Sky/astronaut": [], "0--Sky/two": rows, "7--Sea/none": []})
    script(SCRIPT, "--data", data, "--results", found, "--out", data / "out", "--json", data / "n.json")
    assert aps(data / "n.json") == pytest.approx({"easy": 5 / 9, "medium": 11 / 16, "hard": 1})


def test_the_detectors_files_are_what_is_scored(data, script):
    """The shipped weights find the face of the one image; its result file gives the same numbers."""
    image = data / "WIDER_val" / "images" / "0--Sky" / "astronaut.jpg"
    image.parent.mkdir(parents=True)
    shutil.copy(ROOT / "picture" / "astronaut.jpg", image)
    out, again = data / "out", data / "again.json"
    first = script(SCRIPT, "--data", data, "--out", out, "--json", data / "n.json", "--thresholds", 0.6, 0.7, 0.7,
                   "--min-face", 40, "--workers", 1)
    assert "1 of the 3 images" in first.stdout
    assert aps(data / "n.json") == {"easy": 1, "medium": 1, "hard": None}
    name, count, row = (out / "0--Sky" / "astronaut.txt").read_text().splitlines()
    assert (name, count) == ("astronaut", "1") and len(row.split()) == 5
    script(SCRIPT, "--data", data, "--results", out, "--out", out, "--json", again)
    assert again.read_text() == (data / "n.json").read_text()


def test_the_detector_is_measured_with_each_of_its_parts_left_out(data, script):
    image = data / "WIDER_val" / "images" / "0--Sky" / "astronaut.jpg"
    image.parent.mkdir(parents=True)
    shutil.copy(ROOT / "picture" / "astronaut.jpg", image)
    rows = script("experiments/ablation_detector.py", "--data", data).stdout.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {change}" for change in ablation_detector.CHANGES]
    assert rows[0] == "| none | 1.000 | 1.000 | - |"
    done = script("experiments/ablation_detector.py", "--data", data / "out", code=2)
    assert "wider_face_val.mat: is not there" in done.stderr


def test_one_part_of_the_detector_is_left_out():
    """On faces of 10 to 60 px, one of them cut by the image's right edge."""
    image = images.read(ROOT / "picture" / "mosaic.jpg")
    image = cv2.resize(image[:, :560], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    plain, *changed = (change(min_face_size=12).detect(image) for change in ablation_detector.CHANGES.values())
    no_voting, equal_trust, no_evidence, own_score, mean_score, no_flip, one_threshold, no_small, cut = changed
    for others in (no_voting, equal_trust):
        np.testing.assert_array_equal(others.scores, plain.scores)
        assert (others.boxes != plain.boxes).any() and (bx.iou(others.boxes, plain.boxes).diagonal() > 0.5).all()
    assert (equal_trust.boxes != no_voting.boxes).any()
    assert len(no_evidence) and not np.isin(no_evidence.scores, plain.scores).any()
    own = own_score.scores[bx.iou(plain.boxes, own_score.boxes).argmax(axis=1)]
    alike = np.abs(own - plain.scores) < 2e-4                # R-Net and O-Net give the same, and so do both means
    assert len(mean_score) and not np.isin(mean_score.scores, plain.scores[~alike]).any() and not alike.all()
    assert len(own_score) and not np.isin(own_score.scores, plain.scores[plain.scores < 1]).any()
    best = bx.iou(plain.boxes, no_flip.boxes).max(axis=1)
    assert len(no_flip) >= 0.9 * len(plain) and ((best < 1).any() and np.median(best) > 0.8)    # not all: some are sure
    best = bx.iou(plain.boxes, one_threshold.boxes).max(axis=1)     # the same faces by other voters
    assert (best > 0.8).all() and (best < 1).any() and (best == 1).any()
    assert 0 < len(no_small) < len(plain) and bx.iou(plain.boxes, no_small.boxes).max(axis=0).min() > 0.5
    touched = plain.boxes[:, 2] + bx.longer_side(plain.boxes) > image.shape[1]
    assert touched.any() and np.isin(plain.boxes[~touched], cut.boxes).all()
    assert not np.isin(plain.boxes[touched], cut.boxes).all()


def test_missing_images_are_named_counted_and_too_many_stop(data, script):
    images = data / "WIDER_val" / "images" / "0--Sky"
    images.mkdir(parents=True)
    shutil.copy(ROOT / "picture" / "astronaut.jpg", images)
    done = script(SCRIPT, "--data", data, "--all", "--out", data / "out", "--workers", 1, "--min-face", 40, code=2)
    assert "two.jpg" in done.stdout and "its faces count as missed" in done.stdout
    assert "2 of 3 images cannot be used" in done.stderr


@pytest.mark.parametrize("first", ["two.jpg", "two.JPG", "0--Sky/two", "/wider/val/0--Sky/two.jpg", "0--Sky\\two.jpg"])
def test_a_result_file_names_its_image_as_other_tools_do(data, first):
    path = results(data / "found", PERFECT) / "0--Sky" / "two.txt"
    path.write_text(path.read_text().replace("two", first, 1))
    (boxes, scores), = wider.read(["0--Sky/two"], data / "found")
    assert len(boxes) == len(scores) == 3


@pytest.mark.parametrize("text, wrong", [("", "nothing"), ("one\n1\n0 0 9 9 1\n", "one"),
                                         ("two\n1\n0 0 9 9 1\none\n1\n0 0 9 9 1\n", "two, one")])
def test_a_result_file_that_is_not_of_its_image_is_named_and_counted(data, monkeypatch, capsys, text, wrong):
    monkeypatch.setattr("pipeline.problems.BAD_SHARE", 0.5)
    (results(data / "found", PERFECT) / "0--Sky" / "two.txt").write_text(text)
    found = wider.read(list(PERFECT), data / "found")
    assert [len(boxes) for boxes, _ in found] == [1, 0, 0]
    assert f"two.txt should name two alone and names {wrong}; the faces of this image count" in capsys.readouterr().out


def broken_results(data):
    results(data / "found", PERFECT)
    (data / "found" / "0--Sky" / "two.txt").write_text("two\n2\n0 0 9 9 0.9\n100 0 9 nine 0.8\n")
    return ["--results", data / "found"], "two.txt:4: "


def short_results(data):
    results(data / "found", PERFECT)
    (data / "found" / "0--Sky" / "two.txt").write_text("two\n2\n0 0 9 9 0.9\n")
    return ["--results", data / "found"], "two.txt:3: two should have 2 faces, and the file ends after 1"


def other_images(data):
    (data / "list.txt").write_text("0--Sky/two.jpg\nholidays/beach.jpg\n")
    return ["--list", data / "list.txt"], "list.txt:2: holidays/beach.jpg is no image of WIDER FACE val"


def no_images(data):
    return [], "images: no image of WIDER FACE val is there"


def no_exported_nets(data):
    image = data / "WIDER_val" / "images" / "0--Sky" / "astronaut.jpg"
    image.parent.mkdir(parents=True)
    shutil.copy(ROOT / "picture" / "astronaut.jpg", image)
    return ["--exported", data / "nothere"], f"error: {data / 'nothere'}: holds no pnet as SavedModel"


def missing_mat(data):
    (data / "eval_tools" / "ground_truth" / "wider_hard_val.mat").unlink()
    return [], "wider_hard_val.mat: is not there"


def not_a_mat(data):
    (data / "eval_tools" / "ground_truth" / "wider_easy_val.mat").write_text("<html>not found</html>" * 20)
    return [], "wider_easy_val.mat: cannot be read"


def another_mat(data):
    folder = data / "eval_tools" / "ground_truth"
    shutil.copy(folder / "wider_easy_val.mat", folder / "wider_face_val.mat")
    return [], "are not the four of WIDER FACE val"


@pytest.mark.parametrize("breakage", [broken_results, short_results, other_images, no_images, no_exported_nets,
                                      missing_mat, not_a_mat, another_mat])
def test_wrong_input_is_one_plain_sentence(breakage, data, script):
    options, message = breakage(data)
    error = script(SCRIPT, "--data", data, "--out", data / "out", *options, code=2).stderr
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.skipif(not (WIDER_DATA / "eval_tools").is_dir(), reason="the official files are not there")
def test_the_official_files_count_the_published_numbers_of_faces():
    from evaluate.wider import TRUTH
    from evaluate.wider_truth import SETS, read_truth
    truth = read_truth(WIDER_DATA / TRUTH)
    assert (len(truth), sum(len(image.boxes) for image in truth.values())) == (3226, 39708)
    assert [sum(image.counted[name].sum() for image in truth.values()) for name in SETS] == [7211, 13319, 31958]
