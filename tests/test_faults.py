"""What happens to running steps: a second run, Ctrl-C, a dead worker, a full disk, a folder that refuses, kills."""
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import kills
from conftest import ROOT
from detection.errors import HeldInterruptions
from test_batches import make_records
from test_steps import contents

SAMPLING = "preprocess/gen_12net_data.py"


def wait_for(happens, process, seconds=120):
    """Waits until happens() is true while the process runs; returns what it gave."""
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert process.poll() is None and time.monotonic() < end, process.stderr
        time.sleep(0.01)
    return found


def gone(process, seconds=10):
    """Whether nothing that the process started is left, at the latest after some seconds."""
    end = time.monotonic() + seconds
    while kills.session(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not kills.session(process.pid)


def one_sentence(text):
    line, = [line for line in text.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in text, text
    return line


def sampling(sample, work, workers=2):
    return [SAMPLING, "--data", sample, "--work", work, "--workers", workers]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory, sample, script):
    """The samples of step 1, drawn undisturbed."""
    work = tmp_path_factory.mktemp("sampled")
    script(*sampling(sample, work, 1))
    return work


def test_a_second_run_leaves_in_one_sentence_until_the_first_is_dead(sampled, sample, script, start, tmp_path):
    first = start(*sampling(sample, tmp_path))
    wait_for((tmp_path / "12" / ".12net.parts" / "depends.json").exists, first)
    os.killpg(first.pid, signal.SIGSTOP)                       # it holds the lock, and will not end before we look
    try:
        error = one_sentence(script(*sampling(sample, tmp_path), code=2).stderr)
        assert ".12net.parts: another run of this step is at work" in error
        assert "at work" in one_sentence(script(*sampling(sample, tmp_path), "--force", code=2).stderr)
    finally:
        first.kill()
    script(*sampling(sample, tmp_path))
    assert contents(tmp_path) == contents(sampled)


def test_ctrl_c_ends_a_step_with_130_one_line_and_no_orphan_and_it_goes_on(sampled, sample, script, start, tmp_path):
    process = start(*sampling(sample, tmp_path))
    wait_for(lambda: list((tmp_path / "12").glob(".12net.parts/0*.tsv")), process)      # the workers are at work
    os.killpg(process.pid, signal.SIGINT)                      # as a terminal does: to all of them
    assert process.wait(60) == 130 and "Traceback" not in process.stderr, process.stderr
    assert process.stderr.rstrip().endswith("the same command continues from here")
    assert gone(process)
    script(*sampling(sample, tmp_path))
    assert contents(tmp_path) == contents(sampled)


def test_ctrl_c_ends_training(start, tmp_path, rng):
    make_records(tmp_path / "12", 12, {"imglist": 900}, rng)
    process = start("train/train.py", 12, "--work", tmp_path, "--model", tmp_path, "--graph", tmp_path,
                    "--epochs", 9999)
    wait_for((tmp_path / "12" / ".train.parts" / "train" / "checkpoint.npz").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130 and "Traceback" not in process.stderr, process.stderr
    assert gone(process)


def test_a_held_interruption_waits_for_its_place_and_a_second_one_does_not():
    with pytest.raises(KeyboardInterrupt), HeldInterruptions() as held:
        held.release()
        signal.raise_signal(signal.SIGINT)
        reached = "the place"
        held.release()
        reached = "behind it"
    assert reached == "the place"
    with pytest.raises(KeyboardInterrupt), HeldInterruptions():
        signal.raise_signal(signal.SIGINT)
        reached = "the end"
    assert reached == "the end" and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), HeldInterruptions():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        reached = "behind the second"
    assert reached == "the end"


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_that_python_ignores_comes_again(number, code):
    run = f"""
import signal, sys, time
from detection.errors import run_main
signal.signal(signal.SIGINT, signal.default_int_handler)      # whoever starts the tests may ignore it
class Deleted:
    def __del__(self):
        signal.raise_signal({number:d})
def main():
    print("deletes")
    Deleted()               # Python ignores what is raised in a destructor
    time.sleep(50)
run_main(main)
"""
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (code, "deletes\n")
    assert done.stderr == "\nstopped; the same command continues from here\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_ends_a_script_quietly(unbuffered):
    """As `| head -1` does: most programs are ended by SIGPIPE, which shells report as 141."""
    def run(code):
        process = subprocess.Popen([sys.executable, "-c", f"from detection.errors import run_main\n{code}"], cwd=ROOT,
                                   env=os.environ | {"PYTHONUNBUFFERED": unbuffered}, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.close()
        said = process.communicate(timeout=40)[1]
        return process.returncode, said
    # stdin ends when stdout is closed
    assert run("import sys\ndef main():\n    sys.stdin.read(); print('said')\nrun_main(main)") == (141, "")
    code, said = run("def main():\n    raise BrokenPipeError(32, 'Broken pipe', 'f')\nimport sys; sys.stdout = None\n"
                     "run_main(main)")
    assert code == 2 and said.startswith("error: f: Broken pipe")       # another pipe than that of the output


def test_a_worker_that_is_killed_is_reported_not_waited_for(sampled, sample, script, start, tmp_path):
    def workers():
        found = []
        for pid in kills.session(process.pid):
            try:
                found += [pid] if b"spawn_main" in open(f"/proc/{pid}/cmdline", "rb").read() else []
            except OSError:
                pass
        return found if len(found) == 2 else []
    process = start(*sampling(sample, tmp_path))
    os.kill(wait_for(workers, process)[0], signal.SIGKILL)
    assert process.wait(60) == 2 and "--workers 1: it resumes from here" in one_sentence(process.stderr)
    assert gone(process)
    script(*sampling(sample, tmp_path))
    assert contents(tmp_path) == contents(sampled)


@contextmanager
def full_disk(folder, megabytes, forks):
    """Makes `folder` a disk of that size: a file system of its own as root, else a limit on the sizes of the files that
    scripts write which `forks` starts meanwhile."""
    folder.mkdir()
    if os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "full",
                                             folder], capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        limit = int(megabytes / 4 * (1 << 20))
        before = resource.prlimit(forks.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(forks.process.pid, resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            yield
        finally:
            resource.prlimit(forks.process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_reported_and_with_room_again_the_step_resumes(sampled, sample, script, forks, tmp_path):
    with full_disk(tmp_path / "full", 0.3, forks(SAMPLING)):
        assert "make room" in one_sentence(script(*sampling(sample, tmp_path / "full"), code=2).stderr)
        assert not list((tmp_path / "full").rglob("*.tmp"))
        shutil.copytree(tmp_path / "full", tmp_path / "roomy")
    script(*sampling(sample, tmp_path / "roomy"))
    assert contents(tmp_path / "roomy") == contents(sampled)


@pytest.mark.parametrize("command", [
    ["train/train.py", 12, "--work", "READY", "--model", "FULL/model", "--graph", "READY/graph", "--epochs", 1],
    ["train/train.py", 12, "--work", "FULL", "--model", "READY/m", "--graph", "READY/graph", "--epochs", 1],
    ["export/export.py", "onnx", "--out", "FULL"],
    ["test.py", "picture/tesla.jpg", "--output", "FULL", "--min-face", 60]],
    ids=["weights", "checkpoint", "export", "pictures"])
def test_a_full_disk_is_reported_by_every_writer(script, forks, tmp_path, rng, command):
    ready = tmp_path / "ready"
    make_records(ready / "12", 12, {"imglist": 400}, rng)
    with full_disk(tmp_path / "full", 0.015, forks(command[0])):
        if "FULL" in command and "--work" in command and "READY" not in command:
            (tmp_path / "full" / "12").mkdir()
            (tmp_path / "full" / "12" / "records.json").write_bytes((ready / "12" / "records.json").read_bytes())
            (tmp_path / "full" / "12" / "records").symlink_to(ready / "12" / "records")
        filled = [str(a).replace("READY", str(ready)).replace("FULL", str(tmp_path / "full")) for a in command]
        assert str(tmp_path / "full") in one_sentence(script(*filled, code=2).stderr)
        assert not [p for p in (tmp_path / "full").rglob("*.tmp")]


@pytest.mark.skipif(os.geteuid() != 0 and not hasattr(os, "chmod"), reason="needs a folder that refuses")
def test_a_folder_that_refuses_is_named(sampled, sample, script, tmp_path):
    refusing = tmp_path / "refusing"
    shutil.copytree(sampled, refusing)
    if os.geteuid() == 0:
        if subprocess.run(["mount", "--bind", refusing, refusing], capture_output=True).returncode or \
                subprocess.run(["mount", "-o", "remount,ro,bind", refusing], capture_output=True).returncode:
            pytest.skip("root, and no mounts here: no folder refuses")
    else:
        for folder in (refusing, refusing / "12"):
            folder.chmod(0o500)
    try:
        assert "done already" in script(*sampling(sample, refusing)).stdout           # nothing to be written
        assert str(refusing) in one_sentence(script(*sampling(sample, refusing), "--seed", 1, code=2).stderr)
        assert str(refusing) in one_sentence(script("export/export.py", "onnx", "--out", refusing, code=2).stderr)
        drawing = script("test.py", "picture/tesla.jpg", "--output", refusing, code=2)
        assert str(refusing) in one_sentence(drawing.stderr)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", refusing], check=True)
        else:
            for folder in (refusing, refusing / "12"):
                folder.chmod(0o700)


def test_four_workers_write_the_same_bytes_as_one(sampled, sample, script, tmp_path):
    script(*sampling(sample, tmp_path, 4))
    assert contents(tmp_path) == contents(sampled)


def test_kills_at_random_moments_lose_nothing(done, sample, forks):
    """The short form of tests/kills.py."""
    result = kills.main(10, ("sampling", "records", "export", "download", "checkpoints"), forks("train/train.py"),
                        data=sample, ready=done, epochs=2)
    assert result["kills"] >= 10
    assert not (result["failed"] or result["different"] or result["redone"] or result["orphans"]), result


@pytest.mark.slow
def test_fifty_kills_of_each_stage_lose_nothing_on_a_busy_machine(forks):
    with kills.busy(2):
        result = kills.main(50 * len(kills.NAMES), forks=forks("train/train.py"))
    assert not (result["failed"] or result["different"] or result["redone"] or result["orphans"]), result
