"""test.py as a user runs it: real processes on the pictures of picture/ and on videos made of them."""
import csv
import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from conftest import ROOT
from detection import UserError
from detection.media import sources
from detection.media.results import Results, save

PICTURES = ROOT / "picture"
FAST = ("--min-face", 60)


def detect(*args, code=0, cwd=ROOT, **display):
    """Runs test.py without a display, or with a display as given; returns (stdout, stderr)."""
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")} | display
    done = subprocess.run([sys.executable, str(ROOT / "test.py"), *map(str, args)], cwd=cwd, env=env,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def refused(*args, **kwargs):
    """The one sentence with which test.py refuses."""
    errors = [line for line in detect(*args, code=2, **kwargs)[1].splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, errors
    return errors[0]


def write_video(path, frames, rate=12.5, codec="mp4v"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def read_video(path):
    """(frames, rate)"""
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames, video.get(cv2.CAP_PROP_FPS)


@pytest.fixture(scope="module")
def frames():
    """A face that moves to the right over a brightness that tells the frame's number."""
    face = cv2.resize(cv2.imread(str(PICTURES / "astronaut.jpg"))[:260, 100:360], (160, 160))
    made = [np.full((180, 320, 3), 20 + 10 * i, np.uint8) for i in range(20)]
    for i, frame in enumerate(made):
        frame[:160, 4 * i:4 * i + 160] = face
    return made


@pytest.fixture(scope="module")
def video(frames, tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", frames)


def test_folders_patterns_and_files_in_one_run(tmp_path):
    for name in ("a/one.jpg", "a/b/two.PNG", "a/b/notes.txt", "c/one.jpg", "c/[x].jpg", "alone.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((PICTURES / "astronaut.jpg").read_bytes())
    out, _ = detect("a", "c/*.jpg", "./**/two.*", "alone.jpg", "alone.jpg", *FAST, "--output", "out",
                    "--json", "f.json", cwd=tmp_path)
    found = json.loads((tmp_path / "f.json").read_text())
    # each file once; of the same name, with the folders that tell them apart
    assert sorted(found) == ["[x].jpg", "a/one.jpg", "alone.jpg", "b/two.PNG", "c/one.jpg"]
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")) == sorted(found)
    assert "5 faces in 5 of 5 files" in out


def test_results_of_an_earlier_run_are_left_out_and_sources_are_never_replaced(tmp_path):
    picture = tmp_path / "tesla.jpg"
    picture.write_bytes((PICTURES / "tesla.jpg").read_bytes())
    for _ in range(2):
        out, _ = detect(tmp_path, *FAST, "--output", tmp_path / "out")
        assert "in 1 of 1 files" in out
    assert "results of earlier runs: 1 in" in out
    assert "would be replaced" in refused(tmp_path, "--output", tmp_path)
    assert "would be replaced" in refused(picture, "--output", tmp_path)
    assert picture.read_bytes() == (PICTURES / "tesla.jpg").read_bytes()


def test_two_files_are_never_written_to_one_place(tmp_path):
    for name in ("a/x.jpg", "b/x.jpg", "c/a/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((PICTURES / "tesla.jpg").read_bytes())
    assert "would both be written as" in refused("a/x.jpg", "b/x.jpg", "c", "--output", "out", cwd=tmp_path)


def check(folder, names, monkeypatch, **options):
    """What test.py checks before any detection, for files of these names."""
    monkeypatch.chdir(folder)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"any")
    Results("out", **options).check(sources.find(["."])[0])


@pytest.mark.parametrize("options, names", [
    ({}, ["v.avi", "v.avi.mp4"]), ({}, ["x.jfif", "x.jfif.png"]), ({}, ["x.pgm", "x.pgm.png"]),
    ({"explained": True}, ["x.jpg", "x-explain.png"]), ({"crops": "out"}, ["x.jpg", "x-12.png"]),
    ({"crops": "crops"}, ["v.avi", "v-000000.jpg"]), ({"crops": "out"}, ["v.avi", "v-0000000-1.png"])])
def test_results_of_two_sources_never_replace_each_other(tmp_path, monkeypatch, options, names):
    with pytest.raises(UserError, match="would both be written as .*; pass them to separate runs") as said:
        check(tmp_path, names, monkeypatch, **options)
    assert sorted(str(said.value).split(": would")[0].split(" and ")) == sorted(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)                # nothing is made


def test_names_that_only_look_alike_are_written(tmp_path, monkeypatch):
    check(tmp_path, ["x.jpg", "x.png", "x.jpg.webp", "x-1.jpg", "x-000001.jpg", "v.avi", "v.mp4", "v-1.jpg", "a/x.jpg"],
          monkeypatch, crops=tmp_path / "crops", explained=True, json_file="f.json", csv_file="f.csv")
    labels = [source.label.as_posix() for source in sources.find(["."])[0]]
    assert "x.jpg" in labels and "x.jpg.webp" in labels and len(set(labels)) == 9


@pytest.mark.parametrize("options, names, cause", [
    ({"crops": "."}, ["a.jpg", "a-1.png"], "a-1.png: would be replaced by a result of a.jpg; name another folder"),
    ({"crops": "."}, ["a.mp4", "a-000001-1.png"], "a-000001-1.png: would be replaced by a result of a.mp4"),
    ({"json_file": "photo"}, ["photo"], "photo: is one of the images and videos"),
    ({"json_file": "one.jpg"}, ["a.jpg"], "one.jpg: has the extension of an image or a video"),
    ({"csv_file": "one.HEIC"}, ["a.jpg"], "one.HEIC: has the extension of an image or a video"),
    ({"csv_file": "one.mov"}, ["a.jpg"], "one.mov: has the extension of an image or a video"),
    ({"json_file": "r", "csv_file": "in/../r"}, ["a.jpg", "in/a.jpg"], "r: cannot hold both JSON and CSV")])
def test_results_never_replace_sources_or_one_another(tmp_path, monkeypatch, options, names, cause):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"any")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{cause}"):
        Results("out", drawn=False, **options).check(sources.find(names)[0])
    assert not (tmp_path / "out").exists()


def test_a_sheet_never_replaces_a_source_and_links_hide_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "a-explain.png"):
        (tmp_path / name).write_bytes(b"any")
    found = sources.find(["a.jpg", "a-explain.png"])[0]
    with pytest.raises(UserError, match="a-explain.png: would be replaced by a result of a.jpg"):
        Results(".", drawn=False, explained=True).check(found)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.jpg").symlink_to(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="a.jpg: would be replaced by a result of a.jpg"):
        Results("out").check(found)


@pytest.mark.parametrize("name", ["x.pgm", "x.pbm", "x.jfif", "x"])
def test_an_image_is_written_in_color_whatever_its_name(tmp_path, name):
    image = np.full((40, 40, 3), (0, 0, 200), np.uint8)
    path = save(tmp_path / name, image)
    assert path.name == f"{name}.png" and (cv2.imread(str(path)) == image).all()


def test_json_csv_crops_and_sheets_tell_the_same(tmp_path):
    out, _ = detect(PICTURES / "brothers.jpg", PICTURES / "tesla.jpg", "--models", ROOT / "model", *FAST, "--no-draw",
                    "--json", tmp_path / "deep/f.json", "--csv", tmp_path / "f.csv", "--crops", tmp_path / "crops",
                    "--explain", "--output", tmp_path / "out")
    assert out.splitlines()[-1].endswith("written: " + ", ".join(
        str(tmp_path / name) for name in ("out", "crops", "deep/f.json", "f.csv")))
    found = json.loads((tmp_path / "deep/f.json").read_text())
    rows = list(csv.DictReader(open(tmp_path / "f.csv", newline="")))
    assert {name: len(faces) for name, faces in found.items()} == {"brothers.jpg": 2, "tesla.jpg": 1}
    assert [row["file"] for row in rows] == ["brothers.jpg"] * 2 + ["tesla.jpg"]
    for row, face in zip(rows, found["brothers.jpg"] + found["tesla.jpg"]):
        assert [float(row[name]) for name in ("x1", "y1", "x2", "y2")] == face["box"] and row["frame"] == ""
        assert float(row["left_eye_x"]) == face["landmarks"][0][0]
        assert float(row["right_mouth_y"]) == face["landmarks"][4][1]
    assert sorted(p.name for p in (tmp_path / "crops").iterdir()) == ["brothers-1.png", "brothers-2.png", "tesla-1.png"]
    assert cv2.imread(str(tmp_path / "crops/tesla-1.png")).shape == (112, 112, 3)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["brothers-explain.png", "tesla-explain.png"]


def with_exif(jpeg, orientation):
    """The JPEG with an EXIF block of one entry: orientation, as cameras write it."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation]) + b"\x00\x00\x00"
    block = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00"
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def test_a_picture_that_a_camera_stored_sideways_is_seen_upright_and_loses_its_exif(tmp_path):
    upright = cv2.imread(str(PICTURES / "astronaut.jpg"))[:300, 80:400]
    sideways = cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)           # orientation 6: turn clockwise to view
    for name, image, orientation in (("upright", upright, 1), ("sideways", sideways, 6)):
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
        (tmp_path / f"{name}.jpg").write_bytes(with_exif(jpeg, orientation))
    detect(tmp_path, *FAST, "--json", tmp_path / "f.json", "--output", tmp_path / "out")
    found = json.loads((tmp_path / "f.json").read_text())
    assert len(found["upright.jpg"]) == len(found["sideways.jpg"]) == 1
    np.testing.assert_allclose(found["upright.jpg"][0]["box"], found["sideways.jpg"][0]["box"], atol=3)
    drawn = (tmp_path / "out/sideways.jpg").read_bytes()
    assert b"Exif" not in drawn and cv2.imread(str(tmp_path / "out/sideways.jpg")).shape == upright.shape


def test_blur_hides_the_face_also_where_nothing_is_drawn(tmp_path):
    out, _ = detect(PICTURES / "astronaut.jpg", *FAST, "--blur", "--no-draw", "--output", tmp_path)
    hidden, plain = (cv2.imread(str(folder / "astronaut.jpg")).astype(int) for folder in (tmp_path, PICTURES))
    change = np.abs(hidden - plain)
    assert change[80:160, 190:260].mean() > 12 and change[300:].mean() < 2
    assert "only the faces that were found" in out
    detect(PICTURES / "astronaut.jpg", *FAST, "--blur", "--output", tmp_path / "drawn")
    face = cv2.imread(str(tmp_path / "drawn/astronaut.jpg"))[70:165, 185:265].astype(int)
    assert (face[..., 2] - face[..., 1]).max() < 120                          # a box, but no red points on the face
    assert "--crops" in detect(PICTURES, "--blur", "--crops", tmp_path, code=2)[1]


def test_video_keeps_size_rate_and_order(video, frames, tmp_path):
    out, _ = detect(video, *FAST, "--output", tmp_path, "--json", tmp_path / "f.json")
    made, rate = read_video(tmp_path / "clip.mp4")
    assert rate == 12.5 and len(made) == len(frames) and made[0].shape == frames[0].shape
    order = [frame[170:, 300:].mean() for frame in made]                    # the brightness that tells the number
    np.testing.assert_allclose(order, [20 + 10 * i for i in range(20)], atol=8)     # the codec darkens a little, twice
    np.testing.assert_allclose(np.diff(order), 10, atol=2)
    found = json.loads((tmp_path / "f.json").read_text())
    assert list(found) == [f"clip.mp4#{i}" for i in range(20)]
    lefts = [found[f"clip.mp4#{i}"][0]["box"][0] for i in range(20)]
    np.testing.assert_allclose(np.diff(lefts).mean(), 4, atol=0.3)           # the face moves 4 px a frame
    assert "20 faces in 20 of 20 frames" in out and "mp4v" in out


def test_json_and_csv_carry_times_and_one_of_n_frames_stands_for_the_others(video, frames, tmp_path):
    detect(video, *FAST, "--every", 4, "--output", tmp_path, "--json", tmp_path / "f.json", "--csv", tmp_path / "f.csv")
    found = json.loads((tmp_path / "f.json").read_text())
    assert list(found) == [f"clip.mp4#{i}" for i in range(0, len(frames), 4)]
    times = [(key.split("#")[1], face["time"]) for key, faces in found.items() for face in faces]
    assert times and all(time == pytest.approx(int(frame) / 12.5, abs=0.001) for frame, time in times)
    rows = list(csv.DictReader((tmp_path / "f.csv").open()))
    assert [(row["frame"], float(row["time"])) for row in rows] == times
    assert len(read_video(tmp_path / "clip.mp4")[0]) == len(frames)
    assert "at least 1" in detect(video, "--every", 0, code=2)[1]


@pytest.mark.parametrize("size", [(161, 120), (160, 121)])
def test_video_of_an_odd_size_keeps_it(frames, tmp_path, size):
    writer = cv2.VideoWriter(str(tmp_path / "odd.avi"), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
    for frame in frames[:5]:
        writer.write(cv2.resize(frame, size))
    writer.release()
    out, _ = detect(tmp_path / "odd.avi", *FAST, "--output", tmp_path / "out")
    made, rate = read_video(tmp_path / "out/odd.avi")
    assert len(made) == 5 and made[0].shape[1::-1] == size and rate == 10 and "MJPG" in out


def test_options_of_videos_say_so_where_there_is_none(video, tmp_path):
    tesla, out = PICTURES / "tesla.jpg", ("--output", tmp_path)
    said, _ = detect(tesla, *FAST, "--every", 2, "--track", *out)
    assert "no video there: --every, --track change nothing" in said
    assert "change nothing" not in detect(tesla, video, *FAST, "--every", 2, "--track", *out)[0]
    for paths, option in ((tesla, "--no-window"), (video, "--no-window"), (video, "--reconnect=1")):
        assert f"error: {option.split('=')[0]} is for" in detect(paths, option, *out, code=2)[1]
    assert "error: --reconnect is for" in detect("--video", video, "--reconnect", 1, *out, code=2)[1]


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":98765"}], ids=["none", "one that does not answer"])
def test_without_a_display_live_pictures_go_into_a_video(video, tmp_path, display):
    out, _ = detect("--video", video, *FAST, "--output", tmp_path, **display)
    assert "no window, as there is no display" in out and str(tmp_path) in out
    made, _ = read_video(tmp_path / "clip.mp4")
    assert len(made) == 20
    assert made[0][2:12, 2:12].std() > 20                                    # the frame rate, in the corner


def test_a_stream_is_opened_by_its_address(frames, tmp_path):
    write_video(tmp_path / "live.avi", frames[:6], codec="MJPG")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        detect(f"{address}/live.avi", *FAST, "--no-draw", "--json", tmp_path / "f.json")
        assert "does not open" in refused("--video", f"{address}/missing.avi", "--output", tmp_path / "out")
        server.shutdown()
    assert list(json.loads((tmp_path / "f.json").read_text())) == [f"live.avi#{i}" for i in range(6)]


def test_a_video_that_breaks_off_keeps_what_could_be_read(frames, tmp_path):
    whole = write_video(tmp_path / "whole.avi", frames, codec="MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:len(whole) // 2])
    error = refused(tmp_path / "cut.avi", *FAST, "--output", tmp_path / "out", "--json", tmp_path / "f.json")
    kept = len(read_video(tmp_path / "out/cut.avi.mp4")[0])
    assert f"breaks off after {kept} of 20 frames" in error and 5 <= kept <= 12
    assert len(json.loads((tmp_path / "f.json").read_text())) == kept


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_keep_what_is_done(frames, tmp_path, number, code):
    long = write_video(tmp_path / "long.mp4", [cv2.resize(frames[i % 20], (640, 360)) for i in range(400)])
    process = subprocess.Popen([sys.executable, ROOT / "test.py", long, "--output", tmp_path / "out", "--json",
                                tmp_path / "f.json", "--csv", tmp_path / "f.csv"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    made, end = tmp_path / "out/long.mp4", time.monotonic() + 60
    while not (made.exists() and made.stat().st_size > 0):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in err and "the results so far are kept" in err
    count = len(read_video(made)[0])
    assert 0 < count < 400 and f"{count} of 400 frames" in out
    kept = json.loads((tmp_path / "f.json").read_text())
    assert len(kept) in (count, count + 1)                                           # one may be between the two
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 1 + sum(map(len, kept.values()))


@pytest.mark.parametrize("streams", ["io.StringIO(), io.StringIO()", "None, None"], ids=["a notebook", "a window"])
def test_a_stdout_that_is_no_file(tmp_path, streams):
    run = (f"import io, runpy, sys; sys.stdout, sys.stderr = {streams}; "
           f"sys.argv = ['test.py', {str(PICTURES / 'tesla.jpg')!r}, '--output', {str(tmp_path)!r}]; "
           f"runpy.run_path({str(ROOT / 'test.py')!r}, run_name='__main__')")
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "tesla.jpg").exists()


def test_one_bad_picture_stops_no_other(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    (tmp_path / "good.jpg").write_bytes((PICTURES / "tesla.jpg").read_bytes())
    out, err = detect(tmp_path, *FAST, "--output", tmp_path / "out", code=2)
    assert "in 1 of 2 files" in out and "bad.jpg: is not an image" in err and (tmp_path / "out/good.jpg").exists()


def test_a_picture_too_large_for_the_memory_stops_no_other(tmp_path):
    """The pyramid of this one picture asks for 16 TB, which no machine gives."""
    for name, side in (("a-huge", 200), ("good", 100)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((side, side, 3), np.uint8))
    run = ("import runpy, sys, numpy as np; from detection import pyramid; pack = pyramid.pack; "
           "pyramid.pack = lambda scales, layout: np.zeros((1 << 44,), np.uint8) if len(scales[0]) == 200 else "
           "pack(scales, layout); "
           f"sys.argv = ['test.py', {str(tmp_path)!r}, '--output', {str(tmp_path / 'out')!r}]; "
           f"runpy.run_path({str(ROOT / 'test.py')!r}, run_name='__main__')")
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "in 1 of 2 files" in done.stdout and (tmp_path / "out/good.png").exists()
    assert done.stderr.splitlines() == [f"error: {tmp_path / 'a-huge.png'}: takes more memory than there is; "
                                        "raise --min-face, or shrink it"]


def test_what_cannot_be_done_is_one_plain_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    tesla, bad = PICTURES / "tesla.jpg", tmp_path / "notes.txt"
    assert "no such file" in refused(tmp_path / "missing.jpg")
    assert "no file matches" in refused(tmp_path / "*.png")
    assert "no image or video" in refused(tmp_path / "empty")
    assert "is not an image" in refused(bad, "--output", tmp_path / "out")
    assert "does not open as a video" in refused(tmp_path / "bad.mp4", "--output", tmp_path / "out")
    assert "no such file" in refused("--video", tmp_path / "missing.mp4")
    assert "no such camera" in refused("--camera", 93, "--output", tmp_path / "out")
    assert "no such weights" in refused(tesla, "--model", tmp_path / "empty", "--output", tmp_path / "out")
    assert "cannot be written to" in refused(tesla, "--output", bad)
    assert "is a folder" in refused(tesla, "--no-draw", "--json", tmp_path / "empty")
    assert "thresholds" in refused(tesla, "--thresholds", 2, 0.7, 0.7, "--output", tmp_path / "out")
    assert "one of the three" in detect(tesla, "--camera", 0, code=2)[1]


def test_a_missing_encoder_is_one_plain_sentence(monkeypatch, tmp_path):
    from unittest.mock import MagicMock

    from detection.media.video_file import VideoFile
    monkeypatch.setattr(cv2, "VideoWriter", MagicMock(return_value=MagicMock(isOpened=lambda: False)))
    with pytest.raises(UserError, match="no mp4v encoder"), VideoFile(tmp_path / "clip.mp4", 25) as file:
        file.write(np.zeros((20, 20, 3), np.uint8))
    assert not list(tmp_path.iterdir()) and not file.codec


def test_largest_and_the_size_of_crops(tmp_path):
    detect(PICTURES / "brothers.jpg", *FAST, "--no-draw", "--largest", "--json", tmp_path / "f.json", "--crops",
           tmp_path / "crops", "--crop-size", 64, "--margin", 0.25)
    assert [len(faces) for faces in json.loads((tmp_path / "f.json").read_text()).values()] == [1]
    assert [cv2.imread(str(path)).shape for path in (tmp_path / "crops").iterdir()] == [(64, 64, 3)]
    for wrong in (["--blur", "--largest"], ["--margin", 0.2], ["--crops", tmp_path, "--crop-size", 0]):
        assert "error: --" in detect(PICTURES / "tesla.jpg", *wrong, code=2)[1]
