"""One Detector in several threads and processes: everyone gets the faces that he would get alone."""
import copy
import multiprocessing
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from config import CASCADE, MODEL
from conftest import ROOT
from detection import Detector
from detection.engines import Net, lite, opencv, openvino
from detection.engines.pool import InterpreterPool

SIZES = [(128, 90), (200, 160), (90, 128), (240, 200), (160, 160)]      # px, width and height


@pytest.fixture(scope="module")
def images():
    """The face of a picture at several sizes of the image."""
    face = cv2.imread(str(ROOT / "picture" / "astronaut.jpg"))[:260, 100:360]
    return [cv2.resize(face, size) for size in SIZES]


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("boxes", "scores", "landmarks"))


@pytest.mark.parametrize("engine", [lite.Engine, opencv.Engine, pytest.param(
    openvino.Engine, marks=pytest.mark.skipif(not openvino.installed(), reason="OpenVINO is not installed"))])
def test_threads_that_share_a_detector_get_the_faces_that_they_would_get_alone(engine, images):
    detector = Detector([Net.load(MODEL, stage, stage.heads, engine) for stage in CASCADE])
    alone = [detector.detect(image) for image in images]
    assert sum(map(len, alone)) >= 4
    order = [(i * 3 + i // 7) % len(images) for i in range(100)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: detector.detect(images[i]), order))
    assert all(same(faces, alone[i]) for i, faces in zip(order, found))


def test_a_pool_lends_each_thread_another_and_makes_no_more_than_it_may():
    made, lent, most = [], set(), []

    def make():
        made.append(object())
        return made[-1]
    pool, together, lock = InterpreterPool(make, 2), threading.Barrier(2), threading.Lock()

    def borrow(_):
        with pool.borrow() as item:
            with lock:
                assert item not in lent
                lent.add(item)
                most.append(len(lent))
            together.wait(10)                # the two that are lent at once; no third one can join them
            with lock:
                lent.remove(item)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(borrow, range(40)))
    assert len(made) == max(most) == 2


def test_an_interpreter_that_failed_is_not_used_again():
    made = iter(range(9))
    pool = InterpreterPool(lambda: next(made), 1)
    with pytest.raises(ZeroDivisionError), pool.borrow():
        raise ZeroDivisionError
    with pool.borrow() as item:
        assert item == 1


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda detector: pickle.loads(pickle.dumps(detector))],
                         ids=["copy", "deepcopy", "pickle"])
def test_a_copy_finds_the_same_and_outlives_the_first(copied, images):
    detector = Detector(thresholds=(0.5, 0.6, 0.7))
    wanted, other = detector.detect(images[1]), copied(detector)
    detector.close()
    assert same(other.detect(images[1]), wanted)
    assert other.thresholds == [0.5, 0.6, 0.7]


def test_processes_that_start_afresh_take_a_detector(images):
    detector = Detector()
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        found = processes.map(detector.detect, images[:2])
    assert all(same(faces, detector.detect(image)) for faces, image in zip(found, images))


def test_a_closed_detector_says_so(images):
    with Detector() as detector:
        detector.detect(images[0])
    with pytest.raises(ValueError, match="closed"):
        detector.detect(images[0])
    with pytest.raises(ValueError, match="closed"):
        detector.propose(images[0])
    detector.close()
