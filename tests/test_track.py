"""Ids of faces across frames: a crossing, a face that is hidden for a while, a cut to another scene."""
import csv
import json

import cv2
import numpy as np
import pytest

from conftest import ROOT
from detection import Detector
from detection.cascade import Faces
from detection.media.track import HOLD, Follower, Tracker

RATE = 25


def boxes(*centers, side=40):
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y in centers],
                    np.float32).reshape(-1, 4)


def ids_of(frames):
    """Boxes of each frame -> their ids."""
    tracker = Tracker()
    return [tracker.update(found, i / RATE).tolist() for i, found in enumerate(frames)]


def test_two_faces_that_cross_keep_their_ids():
    ids = ids_of([boxes((100 + 6 * i, 60), (340 - 6 * i, 70))[::-1 if i % 2 else 1] for i in range(40)])
    assert all(found == ([2, 1] if i % 2 else [1, 2]) for i, found in enumerate(ids))


def test_a_face_that_is_hidden_while_it_crosses_another_gets_its_id_back():
    frames = [boxes((100 + 5 * i, 60), (300 - 5 * i, 60)) for i in range(40)]
    frames = [found[:1] if 15 <= i <= 25 else found for i, found in enumerate(frames)]
    assert ids_of(frames) == [[1] if 15 <= i <= 25 else [1, 2] for i in range(40)]


def test_a_face_that_comes_back_later_is_another():
    gap = round(HOLD * RATE)
    assert ids_of([boxes((50, 50))] + [boxes()] * (gap - 1) + [boxes((50, 50))])[-1] == [1]
    assert ids_of([boxes((50, 50))] + [boxes()] * (gap + 1) + [boxes((50, 50))])[-1] == [2]


def test_a_face_has_one_id_and_an_id_one_face(rng):
    tracker = Tracker()
    for i in range(200):
        ids = tracker.update(boxes(*rng.uniform(0, 200, (rng.integers(0, 12), 2)), side=60), i / RATE)
        assert len(set(ids.tolist())) == len(ids) and (not len(ids) or ids.min() >= 1)


def test_the_order_of_the_faces_does_not_matter(rng):
    a, b = Tracker(), Tracker()
    places = rng.uniform(0, 300, (8, 2))
    for i in range(50):
        places = places + rng.uniform(-4, 4, (8, 2))
        found, order = boxes(*places), np.arange(8) if i == 0 else rng.permutation(8)
        assert a.update(found, i / RATE)[order].tolist() == b.update(found[order], i / RATE).tolist()


class Script:
    """A detector that finds these faces, and counts its searches."""
    def __init__(self, places):
        self.places, self.searches, self.refined = places, 0, []

    def detect(self, _):
        self.searches += 1
        return Faces(self.places, np.ones(len(self.places), np.float32))

    def refine(self, _, proposals):
        self.refined.append(proposals)
        return Faces(self.places, np.ones(len(self.places), np.float32))


def test_a_cut_ends_all_tracks_and_a_camera_that_moves_does_not(rng):
    scenes = [cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (400, 200)) for _ in range(2)]
    frames = [scenes[0][:, 4 * i:4 * i + 320] for i in range(10)] + [scenes[1][:, :320]] * 5
    follower = Follower(Script(boxes((100, 100))), 1)
    assert [follower.detect(frame, i / RATE)[1].tolist() for i, frame in enumerate(frames)] == [[1]] * 10 + [[2]] * 5


def test_one_of_n_frames_is_searched_and_each_new_scene(rng):
    scenes = [cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (320, 180)) for _ in range(2)]
    script, searched = Script(boxes((100, 100))), []
    follower = Follower(script, 4)
    for i, frame in enumerate([scenes[0]] * 10 + [scenes[1]] * 6):
        follower.detect(frame, i / RATE)
        searched.append(script.searches)
    assert [i for i in range(16) if i == 0 or searched[i] > searched[i - 1]] == [0, 4, 8, 10, 14]
    assert all(np.abs(near - boxes((100, 100))).max() <= 6.01 for near in script.refined)


def test_a_slow_video_is_searched_more_often():
    script, frame = Script(boxes((100, 100))), np.zeros((90, 160, 3), np.uint8)
    follower = Follower(script, 4)
    for i in range(12):
        follower.detect(frame, i / 5)
    assert script.searches == 6


@pytest.fixture(scope="module")
def frames():
    """Two faces that pass each other, one above the other."""
    face = cv2.resize(cv2.imread(str(ROOT / "picture" / "astronaut.jpg"))[60:200, 150:290], (120, 120))
    made = [np.full((270, 400, 3), 120, np.uint8) for _ in range(30)]
    for i, frame in enumerate(made):
        frame[10:130, 9 * i:9 * i + 120] = face
        frame[140:260, 270 - 9 * i:390 - 9 * i] = face[:, ::-1]
    return made


def test_followed_faces_are_those_of_a_search(frames):
    detector = Detector(min_face_size=40)
    follower = Follower(detector, 10)
    for i, frame in enumerate(frames):
        (found, ids), searched = follower.detect(frame, i / RATE), detector.detect(frame)
        large = found.boxes[:, 2] - found.boxes[:, 0] > 60                    # the two faces
        assert sorted(ids[large].tolist()) == [1, 2]
        for box in found.boxes[large]:
            assert np.abs(searched.boxes - box).max(axis=1).min() <= 6


def test_ids_are_written_and_drawn(frames, tmp_path, script):
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (400, 270))
    for frame in frames:
        writer.write(frame)
    writer.release()
    script("test.py", tmp_path / "a.mp4", "--track", "--min-face", 40, "--output",
           tmp_path / "out", "--json", tmp_path / "f.json", "--csv", tmp_path / "f.csv")
    found = json.loads((tmp_path / "f.json").read_text())
    large = [[face["id"] for face in faces if face["box"][2] - face["box"][0] > 60] for faces in found.values()]
    assert len(found) == 30 and all(sorted(ids) == [1, 2] for ids in large)
    upper = {min(faces, key=lambda face: face["box"][1])["id"] for faces in found.values()}
    assert len(upper) == 1
    rows = list(csv.DictReader((tmp_path / "f.csv").open()))
    assert [int(row["id"]) for row in rows] == [face["id"] for faces in found.values() for face in faces]
    script("test.py", tmp_path / "a.mp4", "--search-every", 5, code=2)
