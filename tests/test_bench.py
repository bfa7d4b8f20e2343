"""The benchmarks run, and what they print is a table of what they were asked for."""
import json
import sys

import pytest

from bench import engines, exports, roofline
from config import CASCADE


def cells(text):
    """Markdown -> the rows of its tables, without the rules below the headers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in lines]
    return [row for row in rows if not row[0].startswith("---")]


def test_detection_times_each_image_and_finds_its_face(script):
    header, ours, *_ = cells(script("bench/detection.py", "--detectors", "ours", "--images", "640x480",
                                    "--min-face", "40", "--repeats", "1").stdout)
    assert header == ["image", "ours"] and ours[0] == "640x480, min face 40"
    milliseconds, faces = ours[1].split()
    assert 0 < float(milliseconds) < 60_000 and faces == "(1)"


def test_exports_that_cannot_run_are_left_out_with_a_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "onnx").mkdir()
    for name in ("pnet.onnx", "rnet.onnx", "onet.onnx"):
        (tmp_path / "onnx" / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not list(exports.exported_detectors(tmp_path, ["onnx", "tflite", "mtcnn"], 20, (0.6, 0.7, 0.7)))
    said = capsys.readouterr().out
    assert "onnx: left out, running .onnx files needs the Python package onnxruntime" in said
    assert f"tflite: left out, {tmp_path / 'tflite'} is not there; write it with" in said and "mtcnn: left" in said


@pytest.mark.parametrize("only", [(), ("--only", "tflite")])
def test_nothing_to_compare_with_is_an_error(script, tmp_path, only):
    error = script("bench/exports.py", tmp_path, *only, code=2).stderr
    assert error.startswith(f"error: {tmp_path}: none of these formats is there") and error.count("\n") == 1


def test_many_images_are_timed_each_way(script):
    header, row = cells(script("bench/throughput.py", "--images", "640x480", "--min-face", "40", "--number", "1",
                               "--repeats", "1").stdout)
    assert header[1] == "one after the other" and len(row) == len(header) == 5
    assert all(float(cell.split()[0]) > 0 for cell in row[1:]) and row[1].endswith("(1.00)")


def test_a_missing_detector_is_left_out_with_a_sentence(script):
    run = script("bench/detection.py", "--detectors", "ours", "YuNet", "--images", "640x480", "--min-face", "40",
                 "--repeats", "1")
    assert "YuNet: left out, its model file is named with --yunet FILE" in run.stderr
    assert cells(run.stdout)[0] == ["image", "ours"]


def test_the_parts_of_a_detection_are_timed(script):
    header, *rows = cells(script("bench/parts.py", "--repeats", "1").stdout)
    assert header[0] == "image" and len(rows) == 12 and all(len(row) == len(header) for row in rows)
    assert all(float(row[header.index("P-Net")]) > 0 for row in rows)


def test_engines_are_timed_in_processes_of_their_own(script, tmp_path):
    run = script("bench/engines.py", tmp_path, "--turns", "1", "--repeats", "1", "--pixels", "20000", "--engines",
                 "TensorFlow Lite, as detection loads it", "OpenCV dnn", "ONNX Runtime")
    header, *rows = cells(run.stdout)
    assert header == ["ms", "TensorFlow Lite, as detection loads it", "OpenCV dnn"] and len(rows) == 3
    assert "ONNX Runtime: left out" in run.stderr


def test_mixed_sizes_are_the_same_work_in_other_pieces_at_each_call(rng):
    for stage in CASCADE:
        _, pixels = roofline.work(stage, 1 << 16)
        calls = [engines.pieces(pixels, rng) for _ in range(2)]
        for parts in calls:
            assert sum(part.shape[pixels.ndim == 3] for part in parts) == pixels.shape[pixels.ndim == 3]
            assert min(part.shape[0] for part in parts) > 0
        assert [part.shape for part in calls[0]] != [part.shape for part in calls[1]]


@pytest.mark.parametrize("arguments", [("bench/start.py", "--one", "ours"),
                                       ("bench/memory.py", "--one", "ours", "1920x1080"),
                                       ("bench/memory.py", "--one", "ours", "sizes", "--sizes", "4")])
def test_started_processes_give_their_figures(script, arguments):
    figures = json.loads(script(*arguments).stdout)
    assert figures and all(0 < figure < 300 for figure in figures)      # one face; MB, the aim for one 1920x1080


def test_multiply_adds_by_hand():
    """P-Net on 12 px: 10x10x27x10, 3x3x90x16, 1x144x32, 32x5; on a larger image each layer once a place."""
    from bench import roofline
    from config import PNET
    alone = 100 * 27 * 10 + 9 * 90 * 16 + 144 * 32 + 32 * 5
    assert roofline.multiply_adds(PNET, 5) == roofline.multiply_adds(PNET, 5, (12, 12)) == alone
    assert roofline.multiply_adds(PNET, 5, (40, 60)) < 15 * 25 * alone


def test_96_faces_are_12_by_8_portraits():
    from bench import detectors
    image = detectors.image("96 faces")
    assert image.shape == (1080, 1920, 3)
    tiles = {image[y:y + 135, x:x + 160].tobytes() for y in range(0, 1080, 135) for x in range(0, 1920, 160)}
    assert len(tiles) == 8                                       # four heads and their mirror images


def test_a_build_beside_itself_finds_the_same_faces(script):
    from config import ROOT
    header, row = cells(script("bench/builds.py", ROOT, "--only", "640x480, min face 40", "--repeats", "1").stdout)
    assert header[0] == "image" and row[0] == "640x480, min face 40" and row[-2:] == ["1", "1"]


def test_training_is_timed_for_each_net(script):
    header, *rows = cells(script("bench/training.py", "--steps", "2", "--turns", "1").stdout)
    assert header[0] == "net" and [row[0].split(",")[0] for row in rows] == ["pnet", "rnet", "onet"]
    assert all(float(number.replace(",", "")) > 0 for row in rows for number in row[1:])


def test_faces_that_are_followed(script):
    header, *rows = cells(script("bench/video.py", "--frames", "3", "--search-every", "2").stdout)
    assert [row[0] for row in rows] == ["1", "2"] and header[3] == "faces found"
    assert rows[0][3] == "1.000" and float(rows[1][3]) > 0.5
