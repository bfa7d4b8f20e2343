"""The scripts as processes, on drawn images: same bytes whoever works, killed and run again, wrong arguments."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from config import CASCADE
from conftest import P_STEPS, ROOT
from detection import weights

SCRIPTS = ["preprocess/gen_12net_data.py", "preprocess/gen_landmark_aug.py", "preprocess/gen_imglist_pnet.py",
           "preprocess/gen_tfrecords.py", "preprocess/gen_hard_example.py", "preprocess/show_samples.py",
           "train/train.py", "evaluate/recall.py", "test.py", "data/make_sample.py"]


def contents(folder):
    """Relative name -> bytes of every file below, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def random_model(folder, rng):
    """P-Net, R-Net and O-Net that know nothing."""
    for stage in CASCADE:
        weights.write_arrays(folder / f"{stage.name}.npz", {
            name: rng.normal(0, 0.1, shape).astype("float32") for name, shape in weights.shapes(stage).items()})
    return folder


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_what_is_read_and_written(script, name):
    text = script(name, "--help").stdout
    assert re.search(r"^reads +\S", text, re.MULTILINE) and re.search(r"^writes +\S", text, re.MULTILINE)


def test_two_workers_write_the_same_bytes_as_one(done, sample, script, tmp_path):
    for name, *args in P_STEPS:
        script(name, *args, "--data", sample, "--work", tmp_path, "--workers", 2)
    assert contents(tmp_path) == contents(done)


def test_another_seed_writes_other_samples(done, sample, script, tmp_path):
    script("preprocess/gen_12net_data.py", "--data", sample, "--work", tmp_path, "--seed", 1)
    assert contents(tmp_path)["12/positive.txt"] != contents(done)["12/positive.txt"]


def test_a_finished_step_is_skipped_and_a_stale_one_is_rebuilt(done, sample, script, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(done, work)
    for name, *args in P_STEPS:
        assert "done already" in script(name, *args, "--data", sample, "--work", work).stdout
    negatives = work / "12" / "negative.txt"
    negatives.write_text("".join(negatives.read_text().splitlines(keepends=True)[:500]))
    out = script("preprocess/gen_imglist_pnet.py", "--data", sample, "--work", work).stdout
    assert "imglist.json: negative.txt has changed; doing it again" in out and "negative: 498 of 500" in out
    out = script("preprocess/gen_tfrecords.py", 12, "--data", sample, "--work", work).stdout
    assert "records.json: imglist.txt has changed; doing it again" in out


def test_a_changed_setting_makes_the_finished_step_stale_and_is_named(done, sample, script, tmp_path):
    """A copy of the project, in whose config.py one value changes after the first step."""
    project, work = tmp_path / "project", tmp_path / "work"
    shutil.copytree(done, work)
    for name in ("detection", "pipeline", "preprocess"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "config.py").read_text(encoding="utf-8")
    where = ("--data", sample, "--work", work)
    for old, new, said in (("MIN_FACE_SIZE = 20", "MIN_FACE_SIZE = 40", "done already"),
                           ("POSITIVE_IOU = 0.65", "POSITIVE_IOU = 0.9",
                            "12net.json: POSITIVE_IOU was 0.65, is 0.9; doing it again"),
                           ("part_iou=0.4", "part_iou=0.5",
                            "12net.json: pnet.part_iou was 0.4, is 0.5; doing it again")):
        assert text.count(old) == 1
        text = text.replace(old, new)
        (project / "config.py").write_text(text, encoding="utf-8")
        assert said in script(project / "preprocess/gen_12net_data.py", *where).stdout


def test_a_second_round_adds_what_was_mined(done, sample, script, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(done, work)
    for size, copies in ((24, 2), (48, 3)):
        for kind in ("positive", "part", "negative"):
            (work / str(size)).mkdir(exist_ok=True)
            lines = (work / "12" / f"{kind}.txt").read_text().splitlines(keepends=True)[:30 * copies]
            (work / str(size) / f"{kind}.txt").write_text("".join(lines))
    shutil.copy(work / "12" / "landmark.txt", work / "24" / "landmark.txt")
    before = len((work / "12" / "negative.txt").read_text().splitlines())
    where = ("--data", sample, "--work", work, "--workers", 1)
    assert f"negative: {before + 60:,} " not in script("preprocess/gen_imglist_pnet.py", *where).stdout
    assert f" of {before + 60:,} samples" in script("preprocess/gen_imglist_pnet.py", *where, "--again").stdout
    out = script("preprocess/gen_tfrecords.py", 24, *where, "--again").stdout
    counts = records_of(work, 24)
    assert counts["negative-train"] + counts["negative-validation"] == 60 + 90, out
    assert "is for 24" in script("preprocess/gen_tfrecords.py", 12, *where, "--again", code=2).stderr


def records_of(work, size):
    return json.loads((work / str(size) / "records.json").read_text())["report"]["counts"]


@pytest.mark.parametrize("folder, path", [("preprocess", "gen_12net_data.py"), ("train", "train.py")])
def test_scripts_run_from_inside_their_folder(folder, path, sample, tmp_path):
    args = [] if folder == "preprocess" else ["12"]
    run = subprocess.run([sys.executable, path, *args, "--data", str(sample), "--work", str(tmp_path)],
                         cwd=ROOT / folder, capture_output=True, text=True)
    if folder == "preprocess":
        assert run.returncode == 0, run.stderr
    else:      # there are no records to train on: the project's own sentence shows that all was found
        assert run.returncode == 2 and "gen_tfrecords" in run.stderr


def killed(args, after):
    """Starts a script, kills it with SIGKILL after some seconds. Returns whether it was still running."""
    process = subprocess.Popen([sys.executable, *map(str, args)], cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def kill_and_finish(script, args, moments):
    """Kills the step at each of these moments, then lets it end. Returns how many kills came in time."""
    hits = sum(killed(args, moment) for moment in moments)
    script(*args)
    return hits


def test_mining_killed_and_run_again_ends_in_the_same_bytes(sample, script, tmp_path, rng):
    model = random_model(tmp_path / "model", rng)
    for number, workers in ((12, 1), (24, 2)):
        common = ["preprocess/gen_hard_example.py", number, "--data", sample, "--model", model, "--min-face", 100]
        started = time.monotonic()
        script(*common, "--work", tmp_path / "whole", "--workers", workers)
        span = time.monotonic() - started
        kill_and_finish(script, [*common, "--work", tmp_path / "killed", "--workers", 2], (0.3 * span, 0.4 * span))
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_shards_behind_an_address_are_the_same_and_train_the_same_net(done, sample, script, tmp_path):
    work, place = tmp_path / "work", tmp_path / "bucket"
    shutil.copytree(done, work)
    script("preprocess/gen_tfrecords.py", 12, "--data", sample, "--work", work, "--records", f"file://{place}",
           "--workers", 1)
    assert not list((work / "12" / "records").glob("*"))     # those of the run before, in another place
    assert contents(place / "12") == contents(done / "12" / "records")
    for name, folder in (("here", shutil.copytree(done, tmp_path / "here")), ("there", work)):
        train = ["train/train.py", 12, "--work", folder, "--model", tmp_path / name / "model", "--graph",
                 tmp_path / "graph", "--epochs", 1]
        script(*train)
        assert "done already" in script(*train).stdout
    assert (tmp_path / "here/model/pnet.npz").read_bytes() == (tmp_path / "there/model/pnet.npz").read_bytes()


def test_wrong_arguments_are_told_in_one_line(sample, script, tmp_path, rng):
    model = random_model(tmp_path / "model", rng)
    cases = [("preprocess/gen_12net_data.py", "--data", tmp_path),
             ("preprocess/gen_landmark_aug.py", 24, "--data", tmp_path),
             ("preprocess/gen_imglist_pnet.py", "--work", tmp_path),
             ("preprocess/gen_tfrecords.py", 24, "--work", tmp_path),
             ("preprocess/gen_hard_example.py", 12, "--data", sample, "--model", tmp_path),
             ("preprocess/gen_hard_example.py", 24, "--data", sample, "--model", model, "--thresholds", 0.3),
             ("train/train.py", 12, "--work", tmp_path), ("train/train.py", 12, "--work", tmp_path, "--epochs", 0),
             ("evaluate/recall.py", 12, "--data", tmp_path, "--model", model),
             ("evaluate/recall.py", 12, "--data", sample, "--model", tmp_path),
             ("evaluate/recall.py", 12, "--data", sample, "--model", model, "--thresholds", 2),
             ("test.py", tmp_path / "nothing.jpg"), ("test.py", tmp_path / "model"),
             ("test.py", sample, "--thresholds", 0.1, 0.2, 7), ("test.py", sample, "--model", tmp_path)]
    for case in cases:
        message = script(*case, code=2).stderr
        assert message.startswith("error: ") and message.count("\n") == 1, (case, message)


def test_a_value_out_of_range_is_told_before_anything_is_read(sample, script, tmp_path):
    cases = [("preprocess/show_samples.py", 12, "--count", 0), ("preprocess/show_samples.py", "--raw", "--count", -1),
             *[("train/train.py", 12, "--decay-at", *shares)
               for shares in ((0.667, 0.2), (20, 50), (-0.1,), (0.5, "nan"))]]
    for case in cases:
        message = script(*case, "--data", sample, "--work", tmp_path, code=2).stderr
        option = next(word for word in case[1:] if str(word) in ("--count", "--decay-at"))
        assert message.startswith(f"error: {option} must be") and message.count("\n") == 1, message


@pytest.mark.parametrize("case", [
    ("train/plot_log.py", "--seed", 1), ("preprocess/show_samples.py", 12, "--workers", 2),
    ("evaluate/recall.py", 12, "--force"), ("evaluate/wider.py", "--seed", 1)])
def test_options_that_would_change_nothing_are_refused(script, tmp_path, case):
    """All steps take the same ones; other scripts take what they use."""
    option = next(word for word in map(str, case) if word.startswith("--"))
    assert f"unrecognized arguments: {option}" in script(*case, "--work", tmp_path, code=2).stderr


@pytest.mark.parametrize("case", [
    ("wider.py", "--results", "r", "--thresholds", 0.6, 0.7, 0.7), ("wider.py", "--results", "r", "--images", "i"),
    ("landmarks.py", "--results", "r", "--min-face", 20), ("fddb.py", "--results", "r", "--exported", "e"),
    ("fddb.py", "--exported", "e", "--model", "m"), ("robustness.py", "--detector", "m:f", "--model", "m"),
    ("recall.py", "--set", "own", "--images", "i", 12)])
def test_options_that_another_one_leaves_without_effect_are_refused(script, case):
    name, by, _, option = case[:4]
    said = script(f"evaluate/{name}", *case[1:], code=2).stderr
    assert f"error: {option} changes nothing with {by}; leave it out\n" in said


@pytest.mark.parametrize("case", [
    ("evaluate/recall.py", 12, "--every"), ("evaluate/robustness.py", "--every"), ("bench/exports.py", "e", "--every"),
    ("bench/one_file.py", "--every"), ("bench/video.py", "--search-every"), ("evaluate/recall.py", 12, "--workers")])
def test_numbers_of_which_there_is_at_least_one(script, case):
    for number in (0, -2):
        assert f"{case[-1]}: must be at least 1, not {number}\n" in script(*case, number, code=2).stderr
    assert f"{case[-1]}: invalid" in script(*case, "two", code=2).stderr


def test_records_of_the_wrong_size_are_told_before_training(done, script, tmp_path):
    shutil.copytree(done / "12", tmp_path / "24")
    message = script("train/train.py", 24, "--work", tmp_path, code=2).stderr
    assert "12 px crops, not 24" in message


def test_bad_images_are_named_counted_and_skipped(sample, script, tmp_path):
    shutil.copytree(sample, tmp_path / "data")
    images = sorted((tmp_path / "data" / "WIDER_train").rglob("*.jpg"))
    images[3].write_bytes(images[3].read_bytes()[:200])
    images[5].unlink()
    out = script("preprocess/gen_12net_data.py", "--data", tmp_path / "data", "--work", tmp_path / "work").stdout
    assert images[3].name in out and images[5].name in out and out.count("skipped:") == 2
    for image in images[6:40]:
        image.unlink()
    where = ("--data", tmp_path / "data", "--work", tmp_path / "other")
    assert re.search(r"36 of 100 \w+ cannot be used", script("preprocess/gen_12net_data.py", *where, code=2).stderr)


def test_a_step_that_gave_up_takes_the_mended_images(done, sample, script, tmp_path):
    """Images go missing before the samples are drawn, then before their crops are cut; both times they come back."""
    data, work = tmp_path / "data", tmp_path / "work"
    shutil.copytree(sample, data)
    where = ["--data", data, "--work", work, "--workers", 1]
    for name, *args in P_STEPS:
        if name.endswith(("12net_data.py", "tfrecords.py")):
            (data / "WIDER_train").rename(tmp_path / "away")
            images = sorted((tmp_path / "away").rglob("*.jpg"))
            shutil.copytree(tmp_path / "away", data / "WIDER_train")
            for image in images[:40]:
                (data / "WIDER_train" / image.relative_to(tmp_path / "away")).unlink()
            assert "cannot be used" in script(name, *args, *where, code=2).stderr
            shutil.rmtree(data / "WIDER_train")
            (tmp_path / "away").rename(data / "WIDER_train")
        script(name, *args, *where)
    assert contents(work) == contents(done)


def test_recall_on_a_set_of_ones_own_is_that_on_the_same_images_of_wider_face(sample, script, tmp_path, rng):
    model, own = random_model(tmp_path, rng), tmp_path / "data" / "sets" / "own"
    own.mkdir(parents=True)
    (own / "images").symlink_to(sample / "WIDER_val" / "images")
    (own / "annotations.txt").symlink_to(sample / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    options = ["--model", model, "--every", 5, "--thresholds", 0.2]
    script("evaluate/recall.py", 12, "--data", sample, "--json", tmp_path / "wider.json", *options)
    there = ["--data", tmp_path / "data"]
    script("evaluate/recall.py", 12, *there, "--set", "own", "--json", tmp_path / "own.json", *options)
    assert (tmp_path / "own.json").read_text() == (tmp_path / "wider.json").read_text()
    error = script("evaluate/recall.py", 12, *there, "--set", "other", "--model", model, code=2).stderr
    assert "other" in error and error.count("\n") == 1
