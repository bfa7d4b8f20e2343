"""Several machines, with real processes: two Ray nodes, two workers in training, one of them killed in the middle.

They listen on the loopback device alone where this system lets us shut them into a network of their own.
"""
import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import P_STEPS, ROOT
from forks import Forks
from test_batches import make_records
from test_steps import contents, random_model

PATIENCE = 900      # seconds, on a busy machine
EPOCHS = 3


@pytest.fixture(scope="module")
def loopback():
    """Words before a command that put it into a network of only the loopback device; none where that is not allowed."""
    try:
        holder = subprocess.Popen(["unshare", "--map-root-user", "--net", "sh", "-c",
                                   "ip link set lo up && echo up && exec sleep 3600"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield []
        return
    inside = ["nsenter", "--target", str(holder.pid), "--user", "--net", "--preserve-credentials"]
    yield inside if holder.stdout.readline() == "up\n" and not subprocess.run([*inside, "true"]).returncode else []
    holder.kill()
    holder.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, process):
    """Waits for condition(); fails if the process ends before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None and time.monotonic() < end, process
        time.sleep(0.05)


# --- Ray

@pytest.fixture
def start(loopback, tmp_path):
    """start(words, **environment) -> a process in a session of its own, its output in .log; all end with the test."""
    started = []

    def run(words, **environment):
        log = tmp_path / f"process-{len(started)}.log"
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([*loopback, *map(str, words)], cwd=ROOT, env={**os.environ, **environment},
                                       stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        process.log = log
        started.append(process)
        return process
    yield run
    for process in started:
        kill(process)


def kill(process):
    """SIGKILL to the process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


@pytest.fixture
def ray_nodes(start, tmp_path):
    """Two nodes of one core each: (words -> process of a script on the cluster, second node)."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-cluster.txt")
    words = [shutil.which("ray", path=str(Path(sys.executable).parent)), "start", "--block", "--num-cpus", 1,
             "--disable-usage-stats", "--object-store-memory", 80_000_000]
    short = Path("/tmp") / f"ray-{os.getpid()}-{free_port()}"      # names of sockets must be short
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(32).hex()}
    address = f"127.0.0.1:{free_port()}"
    head = start([*words, "--head", "--port", address.split(":")[1], "--include-dashboard", "false",
                  "--ray-client-server-port", free_port(), "--temp-dir", short], **token)
    until(lambda: "Ray runtime started" in head.log.read_text(), head)
    second = start([*words, "--address", address], **token)
    until(lambda: "Ray runtime started" in second.log.read_text(), second)
    yield lambda words: start([sys.executable, *words, "--ray", address], **token), second
    kill(second)
    kill(head)
    shutil.rmtree(short, ignore_errors=True)


def test_steps_on_two_ray_nodes_write_the_same_bytes_though_one_dies(done, sample, script, tmp_path, rng, ray_nodes):
    on_cluster, second = ray_nodes
    model = random_model(tmp_path / "model", rng)
    local = shutil.copytree(done, tmp_path / "local")
    for name, *args in [*P_STEPS, ("preprocess/gen_hard_example.py", "12", "--model", model, "--min-face", 30)]:
        words = [name, *args, "--data", sample, "--work"]
        script(*words, local, "--workers", 1)      # of the first steps: done already
        running = on_cluster([*words, tmp_path / "cluster"])
        if name.endswith("hard_example.py"):
            until(lambda: list((tmp_path / "cluster/24/.mined.parts").glob("*.tsv")), running)
            kill(second)
            assert running.poll() is None, "the step was through before the node was killed"
        assert running.wait(PATIENCE) == 0, running.log.read_text()
    assert contents(tmp_path / "cluster") == contents(local)


def test_a_missing_ray_cluster_is_one_line(sample, script, tmp_path):
    message = script("preprocess/gen_12net_data.py", "--data", sample, "--work", tmp_path, "--ray",
                     f"127.0.0.1:{free_port()}", code=2).stderr
    assert message.startswith("error: --ray") and message.count("\n") == 1
    assert "no Ray cluster" in message or "needs Ray" in message


# --- Training

@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    counts = {"positive": 60, "part": 60, "negative": 180, "landmark": 60}
    make_records(folder / "24", 24, counts, np.random.default_rng(7))
    return folder


ON_DEVICES = """
import runpy, sys
import tensorflow as tf
from train import replicas
count = int(sys.argv.pop(1))
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * count)
replicas.strategy = lambda: tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""      # the processor as several devices, in the place of several GPUs


@pytest.fixture(scope="module")
def trainings(loopback):
    """What trainings are forked from, in the network of the loopback device."""
    forks = Forks("cv2", "tqdm", "tensorflow", before=loopback)
    yield forks
    forks.close()


@pytest.fixture
def training(trainings, stored, tmp_path):
    """training(folder) -> one process; training(folder, 2) -> chief and worker; devices: of one process."""
    started = []

    def start(words, **environment):
        started.append(trainings.start(words, ROOT, tmp_path / f"out-{len(started)}", {**os.environ, **environment}))
        return started[-1]

    def run(folder, count=1, devices=1):
        if not folder.exists():
            shutil.copytree(stored, folder)
        program = ["train/train.py"] if devices == 1 else ["-c", ON_DEVICES, devices, "train/train.py"]
        words = [*program, 24, "--work", folder, "--model", folder / "model", "--graph", folder / "graph",
                 "--epochs", EPOCHS, "--batch-size", 60, "--learning-rate", 0.0001]
        if count == 1:
            return start(words, TF_NUM_INTRAOP_THREADS="1")
        cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(count)]}
        return [start(words, TF_NUM_INTRAOP_THREADS="1", TF_CONFIG=json.dumps(
            {"cluster": cluster, "task": {"type": "worker", "index": index}})) for index in range(count)]
    yield run
    for process in started:
        process.kill()


def log(folder):
    """Loss curves of a finished training: (epochs, columns)."""
    with open(folder / "24" / "train" / "log.csv", encoding="utf-8") as file:
        return np.array([[float(value) for name, value in row.items() if "accuracy" not in name]
                         for row in csv.DictReader(file)])


def test_two_workers_or_devices_give_the_loss_curve_of_one_though_one_is_killed(training, tmp_path):
    alone, mirrored = training(tmp_path / "alone"), training(tmp_path / "mirrored", devices=2)
    chief, worker = training(tmp_path / "two", 2)
    for process in (alone, mirrored, chief, worker):
        assert process.wait(PATIENCE) == 0, process.stderr
    one = log(tmp_path / "alone")
    for several in (log(tmp_path / "two"), log(tmp_path / "mirrored")):
        np.testing.assert_allclose(several[0], one[0], rtol=2e-4)
        np.testing.assert_allclose(several, one, rtol=0.02)     # rounding errors grow as with another processor

    chief, worker = training(tmp_path / "killed", 2)
    until(lambda: (tmp_path / "killed/24/.train.parts/train/log.csv").exists(), chief)
    worker.kill()
    assert chief.wait(PATIENCE) == 2 and "start the same command on all of them again" in chief.stderr
    chief, worker = training(tmp_path / "killed", 2)
    assert chief.wait(PATIENCE) == worker.wait(PATIENCE) == 0, chief.stderr
    assert "resumed in epoch" in chief.stdout
    for name in ("24/train/log.csv", "model/rnet.npz"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
