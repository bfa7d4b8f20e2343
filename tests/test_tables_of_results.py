"""JSON and CSV of test.py: written with each result, whole at any moment, and no result stays in memory."""
import csv
import gc
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import ROOT
from detection.cascade import Faces
from detection.errors import UserError
from detection.media.results import CSV_HEADER, Results
from detection.media.sources import Source
from detection.media.tables import CsvFile, JsonFile

VALUES = {"é/a.jpg": [{"box": [1.5, 2], "score": 0.9}], "none.jpg": [], "last.jpg": [{"box": [], "score": 1}] * 3}
SOURCE = Source("clip.mp4", Path("clip.mp4"), Path("clip"), "video")


@pytest.mark.parametrize("count", range(len(VALUES) + 1))
def test_json_has_the_bytes_of_the_library_and_is_whole_after_each_key(tmp_path, count):
    path, made = tmp_path / "new" / "f.json", {}
    table = JsonFile(path)
    for key in list(VALUES)[:count]:
        made[key] = VALUES[key]
        table.add(key, VALUES[key])
        assert path.read_text() == json.dumps(made, indent=1) + "\n"
    table.close()
    assert path.read_text() == json.dumps(made, indent=1) + "\n"


def test_csv_is_whole_after_each_row(tmp_path):
    path = tmp_path / "f.csv"
    table, rows = CsvFile(path, ["name", "number"]), [["name", "number"]]
    for i in range(3):
        rows.append([f'a, "{i}"', str(i)])
        table.add(rows[-1:])
        assert list(csv.reader(open(path, newline=""))) == rows
    table.add([])
    table.close()
    assert list(csv.reader(open(path, newline=""))) == rows


def test_a_name_that_is_no_utf_8_is_escaped(tmp_path):
    table = CsvFile(tmp_path / "f.csv", ["name"])
    table.add([[os.fsdecode(b"caf\xe9.jpg")]])
    table.close()
    assert (tmp_path / "f.csv").read_text(encoding="utf-8") == "name\ncaf\\udce9.jpg\n"


def test_an_older_file_is_replaced_by_the_first_result_and_not_before(tmp_path):
    path = tmp_path / "f.json"
    path.write_text("older and longer than what comes")
    table = JsonFile(path)
    assert path.read_text().startswith("older")
    table.add("a", 1)
    assert json.loads(path.read_text()) == {"a": 1}
    table.close()


def test_a_disk_that_gets_full_leaves_what_was_written_before(tmp_path):
    path, before = tmp_path / "f.json", resource.getrlimit(resource.RLIMIT_FSIZE)
    table = JsonFile(path)
    table.add("fits", [0] * 10)
    kept = path.read_text()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(UserError, match="f.json: cannot be written .* holds the results so far"):
            table.add("does not fit", [1] * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == kept
    table.add("later", 2)
    table.close()
    assert list(json.loads(path.read_text())) == ["fits", "later"]


def test_a_pipe_gets_the_same_bytes(tmp_path):
    run = ("import sys; from detection.media.tables import JsonFile; t = JsonFile('/dev/stdout'); "
           "t.add('a', 1); t.add('b', [2]); t.close()")
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == json.dumps({"a": 1, "b": [2]}, indent=1) + "\n"


@pytest.mark.parametrize("tables", [True, False])
def test_memory_is_flat_over_many_frames(tmp_path, tables):
    results = Results(tmp_path, json_file=tmp_path / "f.json" if tables else None,
                      csv_file=tmp_path / "f.csv" if tables else None)
    rng, image = np.random.default_rng(0), np.zeros((8, 8, 3), np.uint8)
    faces = Faces(*(rng.random(shape, np.float32) for shape in ((10, 4), (10,), (10, 5, 2))))

    def add(start, stop):
        for i in range(start, stop):
            results.add_frame(SOURCE, i, image, faces, i / 25)
        gc.collect()                                # json.dumps leaves cycles until the next collection
        return tracemalloc.get_traced_memory()[0]
    tracemalloc.start()
    try:
        early, late = add(0, 100), add(100, 600)
    finally:
        tracemalloc.stop()
    assert late - early < 20_000                    # bytes; 500 frames of 10 faces would hold some megabytes
    results.close()
    assert (results.count, results.face_count) == (600, 6000)
    if tables:
        assert len(json.loads((tmp_path / "f.json").read_text())) == 600
        rows = list(csv.reader(open(tmp_path / "f.csv", newline="")))
        assert rows[0] == list(CSV_HEADER) and len(rows) == 6001


def test_a_killed_run_leaves_the_results_so_far(tmp_path):
    image = cv2.imread(str(ROOT / "picture" / "tesla.jpg"))
    writer = cv2.VideoWriter(str(tmp_path / "long.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, image.shape[1::-1])
    for _ in range(400):
        writer.write(image)
    writer.release()
    process = subprocess.Popen([sys.executable, ROOT / "test.py", tmp_path / "long.avi", "--no-draw", "--json",
                                tmp_path / "f.json", "--csv", tmp_path / "f.csv"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not ((tmp_path / "f.csv").exists() and (tmp_path / "f.csv").read_text().count("\n") > 5):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()
    found = json.loads((tmp_path / "f.json").read_text())
    rows = list(csv.DictReader(open(tmp_path / "f.csv", newline="")))
    assert 5 <= len(found) < 400 and len(rows) >= 5
    assert all(row["score"] and row["right_mouth_y"] for row in rows)
