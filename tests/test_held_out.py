"""Which images are held out where there are few, and by which loss the best epoch is then chosen."""
import json

import cv2
import numpy as np
import pytest

from config import KINDS
from detection import boxes as bx
from preprocess import samples, shards
from preprocess.records import Records
from train import loop


def never(folder):
    """Endless names of images in a folder that the rule of 5 % does not hold out."""
    number = 0
    while True:
        if not samples.held_out(path := f"{folder}/{number}.png"):
            yield path
        number += 1


def write_lists(folder, **images):
    """Lists of the kinds, with three samples of each of the images of that kind. Returns the files."""
    files = []
    for kind, paths in images.items():
        crops = np.float32([[0, 0, 20, 20]] * 3)
        rows = [line for path in paths for line in samples.lines(
            path, crops, [KINDS[kind]] * 3, bx.empty(3, 4), np.full((3, 10), 0.5, np.float32))]
        (folder / f"{kind}.txt").write_text("".join(rows))
        files.append(folder / f"{kind}.txt")
    return files


def chosen(folder, **images):
    """Kind -> number of its images that are held out, by the rule or besides it."""
    _, kinds = shards.scatter(write_lists(folder, **images), [folder / "group"])
    more = {path for found in kinds.values() for path in found.chosen()}
    return {kind: sum(samples.held_out(path) or path in more for path in paths) for kind, paths in images.items()}


@pytest.mark.parametrize("count, wanted", [(4, 0), (5, 1), (12, 2), (30, 5), (60, 5)])
def test_few_images_of_a_kind_give_up_to_five_or_a_fifth(tmp_path, count, wanted):
    faces, points = never("a"), never("b")
    images = {"positive": [next(faces) for _ in range(count)], "landmark": [next(points) for _ in range(60)]}
    assert chosen(tmp_path, **images) == {"positive": wanted, "landmark": 5}


def test_kinds_of_the_same_images_hold_out_the_same_ones(tmp_path):
    names = never("a")
    paths = [next(names) for _ in range(30)]
    assert chosen(tmp_path, positive=paths[:25], part=paths, negative=paths) == {
        "positive": 5, "part": 5, "negative": 5}


def test_images_that_two_lists_name_count_once(tmp_path):
    """As with --again, where step 10 mined in the images of step 6."""
    paths = [f"x/{number}.png" for number in range(31)]
    file, = write_lists(tmp_path, positive=paths)
    (_, once), (_, again) = (shards.scatter(files, [tmp_path / "group"]) for files in ([file], [file, file]))
    assert again["positive"].count == 31 and again["positive"].held_out == sum(map(samples.held_out, paths)) > 0
    assert again["positive"].chosen() == once["positive"].chosen()


def test_where_there_are_many_the_rule_alone_decides(tmp_path):
    paths = [f"x/{number}.png" for number in range(400)]
    _, kinds = shards.scatter(write_lists(tmp_path, positive=paths), [tmp_path / "group"])
    assert kinds["positive"].chosen() == [] and kinds["positive"].count == 400
    assert kinds["positive"].held_out == sum(map(samples.held_out, paths)) > 10


@pytest.mark.parametrize("count, validates", [(30, True), (4, False)])
def test_records_say_whether_validation_means_something(tmp_path, script, count, validates):
    """30 images with faces and 40 with landmarks: of both some are held out. Four with faces: none, which is said."""
    faces, points = never("faces"), never("points")
    faces, points = [next(faces) for _ in range(count)], [next(points) for _ in range(40)]
    for path in faces + points:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / path), np.zeros((24, 24, 3), np.uint8))
    (tmp_path / "24").mkdir()
    write_lists(tmp_path / "24", positive=faces, part=faces, negative=faces, landmark=points)
    said = script("preprocess/gen_tfrecords.py", 24, "--data", tmp_path, "--work", tmp_path, "--workers", 1).stdout
    stored = Records(tmp_path / "24", 24)
    assert stored.validates == validates == (stored.counts["positive-validation"] > 0)
    assert stored.counts["landmark-validation"] == 15 and stored.counts["landmark-train"] == 105
    assert sum(stored.counts.values()) == 3 * (3 * count + 40)
    line = "warning: none of the 4 images with positive samples is held out" if not validates else \
        "note: only 5 of 30 images with positive samples are held out"
    assert line in said
    report = json.loads((tmp_path / "24/records.json").read_text())["report"]
    assert report["held_out"]["landmark"] == {"images": 40, "held_out": 5}
    assert loop.judged({"total": 1.0, "validation_total": 2.0}, stored) == (2.0 if validates else 1.0)
