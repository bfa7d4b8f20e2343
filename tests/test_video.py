"""The times of videos: what is read, and how long the written video lasts."""
import os
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from detection import UserError
from detection.media import sources
from detection.media.video import Video
from detection.media.video_file import VideoFile

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="makes its videos with ffmpeg")


def image(level):
    return np.full((48, 64, 3), level, np.uint8)


def copy(where, out):
    """Writes a video anew as test.py does -> (times of the frames read, frames written, their rate)."""
    video, times = Video(sources.video(where)), []
    with VideoFile(out, video.rate) as sink:
        for frame in video.frames():
            sink.write(frame, video.time)
            times.append(video.time)
    return times, sink.count, video.rate


def made(path, *options):
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=4", *options,
                    str(path)], check=True)
    return path


def test_a_frame_is_repeated_until_the_next_is_due_and_left_out_where_two_meet(tmp_path):
    with VideoFile(tmp_path / "a.mp4", 10) as sink:
        for level, at in ((0, 0), (100, 0.5), (150, 0.51), (200, 1.0)):
            sink.write(image(level), at)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    levels = [round(float(capture.read()[1].mean()) / 50) * 50 for _ in range(sink.count)]
    assert levels == [0] * 5 + [150] * 5 + [200]


class Played:
    """A capture with these times, ms, in place of a file."""
    def __init__(self, times):
        self.times, self.at = times, -1

    def read(self):
        self.at += 1
        return self.at < len(self.times), image(0)

    def get(self, _):
        return self.times[self.at]

    def release(self):
        pass


@pytest.mark.parametrize("times, expected", [
    ([0, 0, 0, 0], [0, .1, .2, .3]),                                # none
    ([500, 600, 0, 800, 900], [0, .1, .2, .3, .4]),                 # one is missing
    ([0, 100, 9e7, 9e7 + 100, 9e7 + 200], [0, .1, .2, .3, .4]),     # a jump
    ([0, 700, 750, 2000], [0, .7, .75, 2]),                         # variable
    ([0, float("nan"), 200], [0, .1, .2])])
def test_times_that_do_not_follow_are_replaced(tmp_path, times, expected):
    with VideoFile(tmp_path / "a.mp4", 10) as sink:
        sink.write(image(0))
    video = Video(sources.video(tmp_path / "a.mp4"))
    video._capture, video.announced = Played(times), 0
    assert [video.time for _ in video.frames()] == pytest.approx(expected)


@needs_ffmpeg
@pytest.mark.parametrize("name, options", [
    ("a.mp4", ()), ("a.mkv", ("-vf", "select='not(mod(n,5))+lt(n,25)'", "-fps_mode", "vfr")),
    ("f.mp4", ("-movflags", "frag_keyframe+empty_moov")), ("a.mts", ("-c:v", "libx264", "-f", "mpegts")),
    ("a.wmv", ()), ("a.3gp", ("-c:v", "mpeg4")), ("a.webm", ("-c:v", "libvpx"))])
def test_a_copy_lasts_as_long_as_its_source(tmp_path, name, options):
    times, count, rate = copy(made(tmp_path / name, *options), tmp_path / "out.mp4")
    last = 3.8 if "vfr" in options else 3.96
    assert times == sorted(set(times)) and times[-1] == pytest.approx(last, abs=0.002)
    assert (count - 1) / rate == pytest.approx(last, abs=1 / rate)


@needs_ffmpeg
def test_a_file_that_is_cut_is_still_reported(tmp_path):
    whole = made(tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match="breaks off"):
        copy(tmp_path / "cut.mkv", tmp_path / "out.mp4")


@needs_ffmpeg
def test_a_copy_of_variable_rate_has_every_frame(tmp_path):
    made(tmp_path / "a.mp4", "-vf", "select='not(mod(n,5))+lt(n,25)'", "-fps_mode", "vfr")
    video = Video(sources.video(tmp_path / "a.mp4"))
    assert video.rate < 12 and video.copy_rate() == 25               # 25 frames at 25/s, then every fifth one
    with VideoFile(tmp_path / "out.mp4", video.copy_rate()) as sink:
        places = []
        for frame in video.frames():
            sink.write(frame, video.time)
            places.append(sink.count)
        sink.hold(video.end)
    assert len(set(places)) == len(places) == 40 and sink.count == 96
    assert Video(sources.video(made(tmp_path / "constant.mp4"))).copy_rate() == 25


@needs_ffmpeg
def test_the_last_frame_is_held_as_long_as_it_lasts(tmp_path):
    made(tmp_path / "a.mkv", "-f", "lavfi", "-i", "anullsrc=duration=4", "-vf", "select=lt(n\\,50)")  # longer sound
    video = Video(sources.video(tmp_path / "a.mkv"))
    with VideoFile(tmp_path / "out.mp4", video.rate) as sink:
        for frame in video.frames():
            sink.write(frame, video.time)
        sink.hold(video.end)
    assert video.time == pytest.approx(1.96, abs=0.002) and sink.count == 100


@pytest.mark.parametrize("width", [64, 63])
@pytest.mark.parametrize("rate", [0.5, 7.5, 12.5, 23.976, 30])
def test_a_copy_lasts_as_long_at_every_rate(tmp_path, rate, width):
    """Of odd sides, too, though a Motion JPEG file of OpenCV has a whole number of frames a second."""
    with VideoFile(tmp_path / "a", rate) as sink:
        for i in range(round(rate * 8)):
            sink.write(np.full((48, width, 3), 20, np.uint8), i / rate)
        sink.hold(8)
    capture = cv2.VideoCapture(str(sink.path))
    played, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    assert count >= rate * 8 - 1 and count / played == pytest.approx(8, abs=1 / rate)


def test_a_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "2024-01-01T12:30:00.mp4"
    for path, width in ((name, 64), (f"odd:{name}.avi", 63)):
        with VideoFile(path, 10) as sink:
            for _ in range(5):
                sink.write(np.full((48, width, 3), 20, np.uint8))
        video = Video(sources.video(path))
        assert video.name == path and video.copy_rate() == 10 and len(list(video.frames())) == 5


def test_a_video_whose_name_is_no_utf_8_is_refused(tmp_path):
    """OpenCV 5.0.0 ends the whole process with a segmentation fault."""
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    with pytest.raises(UserError, match="not UTF-8; rename it"), VideoFile(path, 10) as sink:
        sink.write(image(0))
    path.write_bytes(b"any")
    with pytest.raises(UserError, match="not UTF-8; rename it"):
        Video(sources.video(path))


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    with VideoFile(tmp_path / "a.mp4", 10) as sink:
        sink.write(image(100))
        sink.write(np.full((96, 128, 3), 200, np.uint8))
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    levels = [round(float(capture.read()[1].mean()), -1) for _ in range(sink.count)]
    assert levels == [100, 200]
