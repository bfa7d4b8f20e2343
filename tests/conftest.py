"""Puts the project's root on the path, and runs its scripts as a user does."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forks import Forks

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
signal.signal(signal.SIGINT, signal.default_int_handler)     # what runs in the background may inherit it ignored
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# A benchmark in WIDER FACE's layout: event/image -> faces (x y w h, px), and those that each set counts, from 1.
WIDER_FACES = {"0--Sky/astronaut": [[170, 65, 98, 115]],
               "0--Sky/two": [[0, 0, 9, 9], [100, 0, 9, 9], [200, 0, 9, 9]], "7--Sea/none": [[0, 0, 0, 0]]}
WIDER_COUNTED = {"easy": {"0--Sky/astronaut": [1], "0--Sky/two": [1, 2]},
                 "medium": {"0--Sky/astronaut": [1], "0--Sky/two": [1, 2, 3]}, "hard": {"0--Sky/two": [3]}}


def _cell(values):
    """MATLAB's cell array (N, 1)."""
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


def wider_benchmark(folder):
    """Writes the four .mat files of WIDER_FACES below the folder, which it returns; no image."""
    from scipy.io import savemat
    truth = folder / "eval_tools" / "ground_truth"
    truth.mkdir(parents=True)
    events = list(dict.fromkeys(name.split("/")[0] for name in WIDER_FACES))
    images = [[name for name in WIDER_FACES if name.startswith(event)] for event in events]
    savemat(truth / "wider_face_val.mat", {
        "event_list": _cell(events), "file_list": _cell([_cell([n.split("/")[1] for n in names]) for names in images]),
        "face_bbx_list": _cell([_cell([np.array(WIDER_FACES[n], np.int32) for n in names]) for names in images])})
    for name, counted in WIDER_COUNTED.items():
        savemat(truth / f"wider_{name}_val.mat", {"gt_list": _cell([
            _cell([np.array(counted.get(n, []), np.uint8).reshape(-1, 1) for n in names]) for names in images])})
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(7)


WITH_TENSORFLOW = {"preprocess/show_samples.py", "train/train.py", "export/export.py",
                   "export/import_weights.py", "experiments/ablation.py", "bench/training.py"}


@pytest.fixture(scope="session")
def forks():
    """forks(path) -> the process that becomes that script: one with TensorFlow or one without."""
    light = Forks("cv2", "tqdm", "scipy.io", "scipy.optimize", "matplotlib.figure")
    heavy = Forks("cv2", "tqdm", "tensorflow")
    yield lambda path: heavy if "/".join(Path(path).parts[-2:]) in WITH_TENSORFLOW else light
    light.close()
    heavy.close()


@pytest.fixture(scope="session")
def script(tmp_path_factory, forks):
    """script("train/train.py", "12", ..., cwd=...) -> the finished process; asserts exit code `code`."""
    out = tmp_path_factory.mktemp("script") / "out"

    def run(path, *args, cwd=ROOT, code=0):
        done = forks(path).run([ROOT / path, *args], cwd, out, timeout=600)
        assert done.returncode == code, f"{path} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return subprocess.CompletedProcess([path, *args], code, done.stdout, done.stderr)
    return run


@pytest.fixture
def start(tmp_path_factory, forks):
    """start("train/train.py", "12", ...) -> the running process, with what it has printed; it ends with the test."""
    started, folder = [], tmp_path_factory.mktemp("started")

    def run(path, *args):
        started.append(forks(path).start([ROOT / path, *args], ROOT, folder / str(len(started))))
        return started[-1]
    yield run
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def sample(tmp_path_factory, script):
    """A drawn data set small enough for tests; only read."""
    out = tmp_path_factory.mktemp("sample")
    script("data/make_sample.py", "--out", out, "--images", 100, "--landmark-images", 100, "--val-images", 20)
    return out


P_STEPS = [("preprocess/gen_12net_data.py",), ("preprocess/gen_landmark_aug.py", "12"),
           ("preprocess/gen_imglist_pnet.py",), ("preprocess/gen_tfrecords.py", "12")]


@pytest.fixture(scope="session")
def done(tmp_path_factory, sample, script):
    """Work folder in which the four steps before P-Net's training were run, with one worker; only read."""
    work = tmp_path_factory.mktemp("work")
    for name, *args in P_STEPS:
        script(name, *args, "--data", sample, "--work", work, "--workers", 1)
    return work


@pytest.fixture
def scene(rng):
    """uint8 (90, 120, 3): smooth random colors."""
    import cv2
    return cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (120, 90), interpolation=cv2.INTER_CUBIC)
