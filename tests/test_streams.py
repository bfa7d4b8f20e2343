"""Streams that stall, close and come back: what is read, written and said."""
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import ROOT
from detection import UserError
from detection.media import sources, video
from detection.media.video import StreamLost, Video
from detection.media.video_file import VideoFile

CLOSE, STALL = "close", "stall"


class Camera:
    """An MJPEG camera on 127.0.0.1. plan: for each connection how many frames it sends and what it does then; after
    the plan it refuses. The level of a frame tells how many were sent before."""
    def __init__(self, *plan, pause=0.02, size=(64, 48)):
        self.plan, self.pause, self.size, self.sent, self.over = list(plan), pause, size, 0, threading.Event()

    def __enter__(self):
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if not camera.plan:
                    self.send_error(503)
                    return
                frames, then = camera.plan.pop(0)
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for _ in range(frames):
                    width, height = camera.size
                    image = np.full((height, width, 3), 4 * camera.sent % 256, np.uint8)
                    data = cv2.imencode(".jpg", image)[1].tobytes()
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) +
                                     data + b"\r\n")
                    camera.sent += 1
                    camera.over.wait(camera.pause)
                if then == STALL:
                    camera.over.wait(60)

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/live.mjpg"
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hurry(monkeypatch):
    """A stall of 0.6 s, tries after 0.05 and 0.1 s."""
    monkeypatch.setattr(video, "STALL", 0.6)
    monkeypatch.setattr(video, "BACK_OFF", (0.05, 0.1))


def read(address, reconnect):
    """(levels, times, the lines that were reported, the error at the end)"""
    said, levels, times = [], [], []
    stream = Video(sources.video(address), reconnect, said.append)
    with pytest.raises(StreamLost) as error:
        for frame in stream.frames():
            levels.append(round(float(frame.mean()) / 4))
            times.append(stream.time)
    return levels, times, said, str(error.value)


def test_a_stream_that_closes_and_stalls_is_opened_again_and_its_time_goes_on(hurry):
    with Camera((10, CLOSE), (10, STALL), (10, CLOSE)) as camera:
        levels, times, said, error = read(camera.address, 2)
    assert set(levels) >= {0, 9, 10, 19, 20} and levels == sorted(levels)
    assert times == sorted(set(times))
    gap = times[levels.index(20)] - times[levels.index(19)]
    assert 0.6 <= gap < 2                                          # the stall, the back-off, and the opening
    assert [line.split(": ")[1].split(";")[0] for line in said] == ["closed", "stalled, no frame for 1 s"]
    assert f"{camera.address}: closed" in error and "2 times in a row" in error and f"{len(levels)} frames" in error


def test_a_live_recording_lasts_as_long_as_it_was_received(tmp_path):
    with Camera((12, CLOSE), pause=0.2) as camera:
        stream = Video(sources.video(camera.address), reconnect=0)
        with pytest.raises(StreamLost), VideoFile(tmp_path / "out.mp4", stream.rate) as sink:
            for frame in stream.frames():
                sink.write(frame, stream.time)
    # opening the stream reads the first frames ahead: they arrive together
    assert 1 < stream.time <= 2.6 and (sink.count - 1) / stream.rate == pytest.approx(stream.time, abs=1 / stream.rate)


def test_the_tries_are_counted_in_a_row_and_back_off(hurry, monkeypatch):
    pauses = []
    monkeypatch.setattr(video.time, "sleep", pauses.append)
    monkeypatch.setattr(video, "BACK_OFF", (1.0, 5.0))
    with Camera((8, CLOSE)) as camera:
        _, _, said, error = read(camera.address, 5)
    assert pauses == [1, 2, 4, 5, 5] and len(said) == 5 and "does not open" in error and "5 times" in error


def test_a_stream_that_ran_well_has_all_its_tries_again(hurry, monkeypatch):
    monkeypatch.setattr(video, "STEADY", 0.05)
    with Camera(*[(12, CLOSE)] * 4) as camera:
        levels, *_ = read(camera.address, 1)
    assert levels[-1] >= 46


def test_without_a_try_the_way_out_is_named(hurry):
    with Camera((8, STALL)) as camera:
        levels, _, said, error = read(camera.address, 0)
    assert len(levels) == 8 and said == [] and "stalled, no frame for 1 s" in error and "--reconnect N" in error


def test_a_server_that_never_answers_is_an_error_within_the_limit(hurry):
    start = time.monotonic()
    with Camera((0, STALL)) as camera, pytest.raises(UserError, match="does not open as a video"):
        Video(sources.video(camera.address))
    assert time.monotonic() - start < 5


def run(*args):
    return subprocess.Popen([sys.executable, ROOT / "test.py", *map(str, args)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def whole(folder):
    """Frames in the JSON; the video and the CSV are whole too."""
    made = cv2.VideoCapture(str(folder / "live.mjpg.mp4"))
    assert made.get(cv2.CAP_PROP_FRAME_COUNT) > 1 and made.read()[0]
    assert (folder / "f.csv").read_text().startswith("file,frame,score")
    return len(json.loads((folder / "f.json").read_text()))


def test_the_exit_code_is_3_and_everything_is_whole(tmp_path):
    with Camera((10, CLOSE), pause=0.05) as camera:
        process = run(camera.address, "--reconnect", 0, "--output", tmp_path, "--json", tmp_path / "f.json", "--csv",
                      tmp_path / "f.csv")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and f"error: {camera.address}: closed" in err and "Traceback" not in err
    assert whole(tmp_path) == 10


def test_sigterm_ends_a_stalled_stream_at_once(tmp_path):
    with Camera((10, STALL), pause=0.05) as camera:
        process = run("--video", camera.address, "--no-window", "--output", tmp_path, "--json", tmp_path / "f.json",
                      "--csv", tmp_path / "f.csv")
        end = time.monotonic() + 60
        while not ((tmp_path / "f.json").exists() and "#9" in (tmp_path / "f.json").read_text()):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143 and time.monotonic() - start < 6 and "the results so far are kept" in err
    assert whole(tmp_path) == 10


RTSP = """
import sys, gi
gi.require_version("Gst", "1.0"), gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server, factory = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1]), GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 "
                   "! jpegenc ! rtpjpegpay name=pay0 )")
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
SYSTEM_PYTHON = "/usr/bin/python3"     # Debian's python3-gi and gir1.2-gst-rtsp-server-1.0 are for this one


def rtsp_server(port=0):
    """GStreamer's RTSP server on 127.0.0.1 -> (process, port)."""
    process = subprocess.Popen([SYSTEM_PYTHON, "-c", RTSP, str(port)], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)
    return process, int(process.stdout.readline() or 0)


def test_an_rtsp_camera_that_is_restarted_and_one_that_hangs(monkeypatch):
    monkeypatch.setattr(video, "STALL", 2.0)
    monkeypatch.setattr(video, "BACK_OFF", (0.5, 0.5))
    if not Path(SYSTEM_PYTHON).exists() or not (found := rtsp_server())[1]:
        pytest.skip("needs gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-good of Debian")
    (server, port), said, times = found, [], []
    try:
        stream = Video(sources.video(f"rtsp://127.0.0.1:{port}/live"), 20, said.append)
        for frame in stream.frames():
            assert frame.shape == (48, 64, 3)
            times.append(stream.time)
            if len(times) == 20:
                server.kill()
                server.wait()
                server, _ = rtsp_server(port)
            if len(times) == 40:
                server.send_signal(signal.SIGSTOP)
                threading.Timer(4, server.send_signal, (signal.SIGCONT,)).start()
            if len(times) > 400 or len(times) > 60 and "stalled" in said[-1] and stream.time - times[-2] < 0.1:
                break
    finally:
        server.kill()
        server.wait()
    assert "closed" in said[0] and any("stalled" in line for line in said) and times == sorted(set(times))
    steps = np.sort(np.diff(times))
    assert np.median(steps) == pytest.approx(0.04, abs=0.005) and steps[-2] > 0.5 and 1.9 < steps[-1] < 20
