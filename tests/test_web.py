"""The page of `export.py web` in Debian's Chromium finds the faces that detection finds."""
import base64
import functools
import http.server
import shutil
import threading

import cv2
import numpy as np
import pytest

import chromium
from config import CASCADE, MODEL, PICTURE
from detection import Detector, images, weights
from export.targets import web

if not chromium.path() or not shutil.which("npm"):
    pytest.skip("Chromium or npm is not installed (apt-get install chromium npm)", allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of the page, on this computer alone."""
    folder = tmp_path_factory.mktemp("web") / "page"
    web.write({stage.name: weights.read(MODEL / f"{stage.name}.npz", stage) for stage in CASCADE}, folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_the_camera_shows_the_faces_of_detection(server, tmp_path):
    frame = cv2.resize(images.read(PICTURE / "brothers.jpg")[150:700, :733], (640, 480), interpolation=cv2.INTER_AREA)
    camera = tmp_path / "camera.mjpeg"
    camera.write_bytes(cv2.imencode(".jpg", frame)[1].tobytes() * 4)
    with chromium.Page(server, tmp_path / "profile", camera) as page:
        page.wait("document.querySelector('#status')?.textContent === 'Ready.'")
        page.run("document.querySelector('#camera').click()")
        page.wait("window.detected?.id > 2")
        page.run("document.querySelector('#camera').click()")                      # stop
        number = page.run("window.detected.id")
        page.run("document.querySelector('#t2').dispatchEvent(new Event('input'))")     # the last frame once more
        found = page.wait(f"window.detected.id > {number} && window.detected")
        page.run("document.querySelector('#showFaces').click()")                   # the image alone
        shown = page.run("document.querySelector('#canvas').toDataURL('image/png')")
        image = cv2.imdecode(np.frombuffer(base64.b64decode(shown.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
        faces = Detector().detect(image)
        assert len(faces) == 2 and found["boxes"]["dims"] == [2, 4]
        np.testing.assert_allclose(np.reshape(found["boxes"]["data"], (-1, 4)), faces.boxes, atol=0.05)
        np.testing.assert_allclose(found["scores"]["data"], faces.scores, atol=1e-3)
        np.testing.assert_allclose(np.reshape(found["landmarks"]["data"], (-1, 5, 2)), faces.landmarks, atol=0.05)
        page.run("document.querySelector('#language').click()")
        assert "最小人脸尺寸" in page.run("document.body.innerText")
        assert all(url.startswith((server, "data:", "blob:", "about:")) for url in page.requests)
