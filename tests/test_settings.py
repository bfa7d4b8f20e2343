"""Every value of config.py that a step's code reads is in its manifest, or the table here says why it need not be."""
import dataclasses
import json

import pytest

import config
import reads
from pipeline import settings, step
from preprocess import gen_12net_data, gen_hard_example, gen_imglist_pnet, gen_landmark_aug, gen_tfrecords, gen_tiles
from train import train

FIELDS = {field.name for field in dataclasses.fields(config.Stage)}
CONSTANTS = {name for name in vars(config) if name.isupper()}

# Script -> the settings that its manifest records, for each stage it can be run for.
STEPS = {
    "preprocess/gen_12net_data.py": lambda: gen_12net_data.settings(config.STAGES[12]),
    "preprocess/gen_landmark_aug.py": gen_landmark_aug.settings,
    "preprocess/gen_imglist_pnet.py": gen_imglist_pnet.settings,
    "preprocess/gen_tfrecords.py": lambda: joined(map(gen_tfrecords.settings, config.STAGES.values())),
    "preprocess/gen_hard_example.py": lambda: joined([
        gen_hard_example.settings([config.STAGES[12]], config.STAGES[24]),
        gen_hard_example.settings([config.STAGES[12], config.STAGES[24]], config.STAGES[48])]),
    "preprocess/gen_tiles.py": lambda: gen_tiles.settings(config.STAGES[12]),
    "train/train.py": lambda: joined(map(train.settings, config.STAGES.values())),
}
CHECKS = frozenset({("detection.boxes", "check_mirror_order")})     # every step makes it; it changes nothing
PLACE = "a path: where files lie does not change them"
OPTION = "the default of an option, and the manifest records the option"
WORK = "how the work is divided, or when it is saved; the result does not depend on it"
REFUSES = "only decides whether the step gives up or warns"
KIND = "one of KINDS, which is recorded"
STAGE = "the stages are recorded field by field"
O_NET = "only for O-Net, and mining ends before it"
WHOLE = "only where all three nets run, and mining ends before O-Net"
LABELS = "the boxes that are made of points are in the fingerprints of the labels, which are recorded"
TYPE = "attributes and strings with this name are other things"
# What a script reads and does not record: name, or field of a stage -> script ("" for all) -> why.
UNRECORDED = {
    **{name: {"": PLACE} for name in ("ROOT", "DATA", "MODEL", "GRAPH")},
    "SEED": {"": OPTION}, "MINING_MIN_FACE": {"": OPTION}, "epochs": {"": OPTION}, "learning_rate": {"": OPTION},
    "precision": {"": OPTION}, "threshold": {"": "mining gives the detector its own thresholds"},
    "MIN_FACE_SIZE": {"": "mining gives the detector its own smallest face"}, "mining_threshold": {"": OPTION},
    **{name: {"": WORK} for name in ("RAY_AHEAD", "IMAGES_PER_PART", "MAX_PARTS", "CHECKPOINT_SECONDS")},
    **{name: {"": REFUSES} for name in ("BAD_SHARE", "MAX_CROP", "SHORT_SHARE", "LOW_RECALL")},
    **{name: {"": KIND} for name in ("POSITIVE", "PART", "NEGATIVE", "LANDMARK")},
    **{name: {"": STAGE} for name in ("PNET", "CASCADE", "STAGES")},
    **{name: {"preprocess/gen_hard_example.py": O_NET} for name in (
        "FLIP_BELOW", "VOTE_IOU", "VOTE_TRUST", "VOTES_EXPECTED", "ODDS_POWER", "SURE", "POINTS_BOX", "POINTS_CENTER",
        "MIRROR_ORDER", "POINTS")},
    **{name: {"preprocess/gen_hard_example.py": WHOLE} for name in (
        "SUPPORT", "SUPPORT_CELLS", "SUPPORT_FALL", "SIZE_ODDS", "SIZE_FALL", "SIZE_OCTAVES", "BOTTOM_ODDS", "LIT",
        "MOST_LIGHT")},
    "FORMAT": {"": "every manifest records it by itself"},
    "FACIAL_POINTS": {"preprocess/gen_landmark_aug.py": "only compared with POINTS, which is recorded",
                      "preprocess/gen_12net_data.py": LABELS, "preprocess/gen_hard_example.py": LABELS},
    "name": {"": "names files and messages"}, "parameters": {"": TYPE},
    "size": {"preprocess/gen_landmark_aug.py": "an option: the step has a manifest per size",
             "preprocess/gen_imglist_pnet.py": "finds the lists of the next net; those are recorded inputs"},
    "batch": {"preprocess/gen_hard_example.py": TYPE,
              "preprocess/gen_tfrecords.py": "names the lists, and those are recorded inputs"},
}
UNRECORDED["POINTS_BOX"]["preprocess/gen_12net_data.py"] = LABELS
UNRECORDED["POINTS_BOX"]["preprocess/gen_tiles.py"] = UNRECORDED["FACIAL_POINTS"]["preprocess/gen_tiles.py"] = LABELS
UNRECORDED["POINTS"] = {**UNRECORDED["POINTS"], "preprocess/gen_12net_data.py": "only in messages and empty arrays"}
# Constants and fields that make no step stale, and why.
NEVER_STALE = {
    **{name: PLACE for name in ("ROOT", "DATA", "MODEL", "PICTURE", "OUTPUT", "GRAPH")},
    **{name: OPTION for name in (
        "SEED", "MINING_MIN_FACE", "mining_threshold", "epochs", "learning_rate", "precision")},
    **{name: WORK for name in ("RAY_AHEAD", "IMAGES_PER_PART", "MAX_PARTS", "CHECKPOINT_SECONDS")},
    **{name: REFUSES for name in ("BAD_SHARE", "MAX_CROP", "SHORT_SHARE", "LOW_RECALL")},
    **{name: KIND for name in ("POSITIVE", "PART", "NEGATIVE", "LANDMARK")},
    **{name: STAGE for name in ("PNET", "RNET", "ONET")},
    **{name: "for detection after training" for name in (
        "MIN_FACE_SIZE", "FLIP_BELOW", "VOTE_IOU", "VOTE_TRUST", "VOTES_EXPECTED", "ODDS_POWER", "SURE", "MAX_PIXELS",
        "threshold", "SUPPORT", "SUPPORT_CELLS", "SUPPORT_FALL", "SIZE_ODDS", "SIZE_FALL", "SIZE_OCTAVES",
        "BOTTOM_ODDS", "LIT", "MOST_LIGHT", "POINTS_CENTER")},
    **{name: "for evaluation" for name in ("BENCHMARK_MIN_FACE", "MIN_MEASURED_SIZE", "benchmark_threshold")},
    **{f"onet.{field}": "for detection after training: mining ends before O-Net" for field in (
        "nms", "overlap", "flip_pass")},
    "FACIAL_POINTS": "the start value of POINTS, which is recorded; alone it only decides what is refused",
    "FORMAT": "every manifest records it by itself",
    "parameters": "a number to compare with, read by tests",
}


def joined(dictionaries):
    """The entries of all dictionaries; of those with the same name all values count."""
    result = {}
    for index, dictionary in enumerate(dictionaries):
        result.update({f"{index} {name}": value for name, value in dictionary.items()})
    return result


def recorded(script):
    """Names of the constants, and the fields of stages, that the script's manifest holds."""
    return {name.split(" ")[-1].split(".")[-1] for name in STEPS[script]()}


def read(script):
    """Names of the constants and of the fields of stages that the script's code can read."""
    constants, words = reads.reads(script, CHECKS)
    return (constants & CONSTANTS) | (words & FIELDS)


def excused(script):
    return {name for name, reasons in UNRECORDED.items() if reasons.keys() & {"", script}}


@pytest.mark.parametrize("script", STEPS)
def test_what_a_step_reads_it_records(script):
    assert read(script) - recorded(script) - excused(script) == set()


@pytest.mark.parametrize("script", STEPS)
def test_what_a_step_records_it_reads(script):
    compared = script in ("preprocess/gen_tfrecords.py", "preprocess/gen_tiles.py")      # by records.Records
    others = {"MIRROR_ORDER"} if compared else set()
    assert recorded(script) - read(script) == others, "a change of these would make the step stale for nothing"


def test_no_reason_is_left_that_is_not_needed():
    for name, reasons in UNRECORDED.items():
        for script in reasons:
            scripts = [script] if script else STEPS
            assert any(name in read(each) and name not in recorded(each) for each in scripts), (name, script)


def stale(monkeypatch, name):
    """Scripts whose recorded settings change with this constant, or with this field of a stage ("pnet.layers")."""
    before = {script: make() for script, make in STEPS.items()}
    if name in CONSTANTS:
        monkeypatch.setattr(config, name, ["other"])
    else:
        net, field = name.split(".")
        size, stage = next((size, stage) for size, stage in config.STAGES.items() if stage.name == net)
        monkeypatch.setitem(config.STAGES, size, dataclasses.replace(stage, **{field: ["other"]}))
    return [script for script, make in STEPS.items() if before[script] != make()]


@pytest.mark.parametrize("name", sorted(CONSTANTS - {"STAGES", "CASCADE"} | {
    f"{stage.name}.{field}" for stage in config.CASCADE for field in FIELDS - {"name"}}))
def test_a_changed_value_makes_a_step_stale_or_there_is_a_reason(name, monkeypatch):
    reason = NEVER_STALE.get(name) or NEVER_STALE.get(name.split(".")[-1])
    scripts = stale(monkeypatch, name)
    assert scripts or reason, "no step becomes stale: record it, or say here why not"
    assert not (scripts and reason), f"{scripts} become stale, so this reason is wrong: {reason}"


def test_detection_settings_leave_the_first_step_alone():
    assert not recorded("preprocess/gen_12net_data.py") & {"MIN_FACE_SIZE", "OUTPUT", "PYRAMID_FACTOR", "layers", "nms"}


def test_the_walk_finds_reads_through_functions_classes_and_other_modules():
    constants, words = reads.reads("preprocess/gen_12net_data.py")
    assert {"POSITIVE_IOU", "NEGATIVE_ROUNDS", "CROP_SIDE"} <= constants      # in samples.label, Draw, crop geometry
    assert "part_iou" in words and "PYRAMID_FACTOR" not in constants
    assert "VOTE_IOU" in reads.reads("preprocess/gen_hard_example.py")[0]      # in a method of detection's class


def step_in(folder, **changed):
    return step.Step(folder, "list", {"a.txt": "12ab"}, {"seed": 0}, {"POSITIVE_IOU": 0.65, **changed})


def test_the_message_names_the_value_that_changed(tmp_path, capsys):
    step_in(tmp_path).finish([], {"samples": 3})
    assert step_in(tmp_path).report() == {"samples": 3}
    assert step_in(tmp_path, POSITIVE_IOU=0.9).finished() is None
    assert "list.json: POSITIVE_IOU was 0.65, is 0.9; doing it again" in capsys.readouterr().out


def test_a_stopped_run_with_other_settings_starts_anew_and_says_so(tmp_path, capsys):
    first = step_in(tmp_path)
    assert first.finished() is None
    first.part("half").write_text("x")
    del first
    again = step_in(tmp_path)
    assert again.finished() is None and again.part("half").is_file()
    assert "resuming" in capsys.readouterr().out
    del again
    other = step_in(tmp_path, POSITIVE_IOU=0.9)
    assert other.finished() is None and not other.part("half").exists()
    assert "POSITIVE_IOU was 0.65, is 0.9 since the run that was stopped; starting anew" in capsys.readouterr().out


def test_settings_are_plain_json_and_layers_of_two_types_differ():
    assert settings.plain((config.Conv(2, 3), config.Dense(5), (1, 0.5), {"a": (1,)})) == [
        ["Conv", 2, 3], ["Dense", 5], [1, 0.5], {"a": [1]}]
    for make in STEPS.values():
        assert json.loads(json.dumps(make())) == make()


def test_differences_are_short_and_inputs_show_no_digests():
    before = {"inputs": {"a": "12", "b": "34"}, "options": {"seed": 0}, "settings": {"X": [0] * 50, "gone": 1}}
    now = {"inputs": {"a": "56", "c": "78"}, "options": {"seed": 1}, "settings": {"X": [1] * 50, "Y": 2}}
    phrases = settings.differences(before, now)
    assert phrases == ["a has changed", "c is new", "b is no longer used", "seed was 0, is 1", "X has changed",
                       "Y was not recorded", "gone is no longer used"]
    assert settings.summary(phrases) == "a has changed, c is new, b is no longer used and 4 more"
    assert settings.differences({"settings": 3, "inputs": {}, "options": {}}, {**now, "options": {}, "inputs": {}}) == [
        "settings were not recorded"]
