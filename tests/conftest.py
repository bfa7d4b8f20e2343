"""Puts the project's root on the path, and runs its scripts as a user does."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
signal.signal(signal.SIGINT, signal.default_int_handler)     # what runs in the background may inherit it ignored
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def script():
    """script("train/train.py", "12", ..., cwd=...) -> the finished process; asserts exit code `code`."""
    def run(path, *args, cwd=ROOT, code=0):
        done = subprocess.run([sys.executable, str(ROOT / path), *map(str, args)], cwd=cwd, capture_output=True,
                              text=True, timeout=600)
        assert done.returncode == code, f"{path} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done
    return run


@pytest.fixture(scope="session")
def sample(tmp_path_factory, script):
    """A drawn data set small enough for tests; only read."""
    out = tmp_path_factory.mktemp("sample")
    script("data/make_sample.py", "--out", out, "--photos", 150, "--landmark-photos", 160, "--val-photos", 40)
    return out


@pytest.fixture
def photograph(rng):
    """uint8 (90, 120, 3): smooth random colours."""
    import cv2
    return cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (120, 90), interpolation=cv2.INTER_CUBIC)
