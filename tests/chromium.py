"""Debian's Chromium without a window, driven through the pipe of its DevTools protocol: nothing needs to be installed
beside it."""
import json
import os
import shutil
import subprocess
import time

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
         "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def path() -> str | None:
    """Where Chromium is installed, or None."""
    return shutil.which("chromium")


class Page:
    """A page in a browser of its own, whose profile is in `folder`. camera: a .mjpeg file that its camera repeats."""

    def __init__(self, url: str, folder, camera, width: int = 1100, height: int = 800):
        there, self._write = os.pipe()
        self._read, here = os.pipe()
        command = f"exec 3<&{there} 4>&{here}; exec \"$@\""
        flags = [*FLAGS, f"--user-data-dir={folder}", f"--use-file-for-fake-video-capture={camera}",
                 f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(["bash", "-c", command, "bash", path(), *flags], pass_fds=(there, here),
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there), os.close(here)
        self._count, self._rest, self.requests = 0, b"", []
        target = next(each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._session = None
        self._session = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        self._call("Network.enable")
        self._call("Page.enable")
        self._call("Page.navigate", url=url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._write), os.close(self._read)

    def _call(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._read, 1 << 20)
                if not part:
                    raise RuntimeError("Chromium has ended")
                self._rest += part
            answer, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(answer)
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def run(self, script: str):
        """The value of a JavaScript expression; of a promise, what it becomes."""
        answer = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True,
                            userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "an error"))
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 120):
        """Waits until the expression is true -> its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"{script} stays {value}; the page says: {self.run('document.body.innerText')}")
            time.sleep(0.2)
        return value

    def screenshot(self) -> str:
        """PNG as base64 text."""
        return self._call("Page.captureScreenshot")["data"]

    def show_as_phone(self) -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
