"""The downloader against homes that behave as homes do: they cut, begin anew, refuse, and send other things."""
import argparse
import errno
import hashlib
import http.client
import http.server
import io
import json
import ssl
import stat
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "data"))
import download
import transfer
from archives import ARCHIVES, Archive

IMAGES = {f"SET/images/{i}.jpg": bytes([i]) * 3000 + bytes(range(256)) * 8 for i in range(5)}


def packed(files):
    """{name: content, or (content, mode)} -> the bytes of a zip archive, not compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            if isinstance(content, tuple):
                content, mode = content
                info.external_attr = mode << 16
            zipped.writestr(info, content)
    return buffer.getvalue()


ZIP = packed(IMAGES)


class Home:
    """A server on 127.0.0.1. cuts: how many bytes each of the first answers ends after; asked: the ranges asked for."""

    def __init__(self):
        self.content, self.kind, self.status = ZIP, "application/zip", 200
        self.cuts, self.ranges, self.asked = [], True, []
        home = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                home.asked.append(asked)
                start = int(asked[6:-1]) if asked and home.ranges else 0
                if home.status != 200:
                    return self.send_error(home.status)
                if start and start >= len(home.content):
                    return self.send_error(416)
                body = home.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Type", home.kind)
                self.send_header("Content-Length", str(len(body)))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(home.content) - 1}/{len(home.content)}")
                self.end_headers()
                self.wfile.write(body[:home.cuts.pop(0)] if home.cuts else body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None      # where the downloader hangs up
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/set.zip"


@pytest.fixture
def home(monkeypatch):
    monkeypatch.setattr(transfer, "WAIT", 0.001)
    monkeypatch.setattr(transfer, "CHUNK", 1000)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Home()
    yield made
    made.server.shutdown()
    made.server.server_close()


def get(out, *homes, known=True, holds=None, keep=False):
    """Runs the downloader for one archive with these homes."""
    archive = Archive("set.zip", "These are the terms.", tuple(homes), "http://a.page/", len(ZIP) if known else None,
                      hashlib.sha256(ZIP).hexdigest() if known else None, holds or {"SET": 5})
    download.main(argparse.Namespace(only=None, out=out, keep=keep), {"set": archive})


def files(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*")
            if p.is_file() and p.name != "download.json"}


def test_a_set_is_loaded_checked_and_unpacked_and_then_left_alone(home, tmp_path, capsys):
    get(tmp_path, home.url)
    printed = capsys.readouterr().out
    assert files(tmp_path) == IMAGES and "as published" in printed and "5 files" in printed
    assert printed.index("These are the terms.") < printed.index(home.url)
    record = json.loads((tmp_path / "download.json").read_text())["set.zip"]
    assert record["sha256"] == hashlib.sha256(ZIP).hexdigest() and record["from"] == home.url
    get(tmp_path, home.url)
    assert len(home.asked) == 1 and "already" in capsys.readouterr().out


@pytest.mark.parametrize("known", [True, False])
def test_cut_connections_go_on_where_they_were_cut(home, tmp_path, known):
    home.cuts = [5000, 0, 7000, 0, 0]
    get(tmp_path, home.url, known=known)
    assert home.asked == [None, *["bytes=5000-"] * 2, *["bytes=12000-"] * 3] and files(tmp_path) == IMAGES


def test_what_an_earlier_run_received_is_not_loaded_again(home, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(ZIP[:9000])
    get(tmp_path, home.url)
    assert home.asked == ["bytes=9000-"] and files(tmp_path) == IMAGES


@pytest.mark.parametrize("known", [True, False])
def test_an_earlier_run_that_received_all_of_it_is_finished(home, tmp_path, known):
    (tmp_path / "set.zip.part").write_bytes(ZIP)
    get(tmp_path, home.url, known=known)
    assert home.asked == ([] if known else [f"bytes={len(ZIP)}-"]) and files(tmp_path) == IMAGES


class Killed(BaseException):
    """The end of a process, which no `except` of the downloader sees."""


def lines_run(call, kill_at=None):
    """[(file, line, how often before)] of the downloader's lines that call() runs; Killed before the one at kill_at."""
    lines, times = [], Counter()

    def trace(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if path.parent != ROOT / "data":
            return None
        if event == "line":
            lines.append((path.name, frame.f_lineno, times[path.name, frame.f_lineno]))
            times[path.name, frame.f_lineno] += 1
            if lines[-1] == kill_at:
                raise Killed
        return trace
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("known", [True, False])
def test_killed_before_any_of_its_lines_the_next_run_ends_in_the_same_files_and_record(home, tmp_path, known):
    refusing = Home()
    refusing.status = 404

    def everything(out):
        return {**files(out), "download.json": (out / "download.json").read_text()}
    lines = lines_run(lambda: get(tmp_path / "whole", refusing.url, home.url, known=known))
    wanted = everything(tmp_path / "whole")
    assert json.loads(wanted["download.json"])["set.zip"]["from"] == home.url
    last = {line[:2]: line for line in lines}
    moments = [line for line in lines if line[2] == 0 or line == last[line[:2]]]       # first and last time of each
    assert len(moments) > 100
    different = []
    for number, moment in enumerate(moments):
        out = tmp_path / str(number)
        with pytest.raises(Killed):
            lines_run(lambda: get(out, refusing.url, home.url, known=known), moment)
        get(out, refusing.url, home.url, known=known)
        different += [moment] if everything(out) != wanted else []
    assert not different, f"{len(different)} of {len(moments)} moments"


def test_a_home_that_cannot_go_on_in_the_middle_begins_anew(home, tmp_path):
    home.ranges, home.cuts = False, [5000]
    get(tmp_path, home.url)
    assert home.asked == [None, "bytes=5000-"] and files(tmp_path) == IMAGES


def test_a_home_that_cuts_forever_is_given_up_and_what_came_is_kept(home, tmp_path):
    home.cuts = [4000] + [0] * 20
    with pytest.raises(transfer.Problem, match=r"none of its 1 homes.*cut 5 times in a row.*http://a.page/"):
        get(tmp_path, home.url)
    assert (tmp_path / "set.zip.part").read_bytes() == ZIP[:4000]


NETWORK = [ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] decryption failed or bad record mac"),
           OSError(errno.EHOSTUNREACH, "No route to host"), ConnectionResetError(errno.ECONNRESET, "reset"),
           TimeoutError("timed out"), http.client.IncompleteRead(b"")]


def failing(monkeypatch, place, name, error, times):
    """place.name raises the error so often, from its second call on."""
    right, calls = getattr(place, name), []

    def called(*args, **kw):
        calls.append(name)
        if 1 < len(calls) <= 1 + times:
            raise error
        return right(*args, **kw)
    monkeypatch.setattr(place, name, called)


@pytest.mark.parametrize("error", NETWORK, ids=repr)
@pytest.mark.parametrize("name", ["read", "begin"])     # of bytes; of an answer, after the one that was cut
def test_whatever_fails_in_the_network_is_tried_again_and_then_named_as_such(home, tmp_path, monkeypatch, error, name):
    home.cuts = [5000] if name == "begin" else []
    with monkeypatch.context() as patched:
        failing(patched, http.client.HTTPResponse, name, error, 1)
        get(tmp_path, home.url)
    assert files(tmp_path) == IMAGES
    home.cuts = [5000] if name == "begin" else []
    failing(monkeypatch, http.client.HTTPResponse, name, error, 99)
    with pytest.raises(transfer.Problem, match="none of its 1 homes.*the connection was cut 5 times in a row"):
        get(tmp_path / "other", home.url)


def test_a_full_disk_is_none_of_the_network(home, tmp_path, monkeypatch):
    failing(monkeypatch, transfer.Progress, "show", OSError(errno.ENOSPC, "No space left on device"), 99)
    with pytest.raises(OSError, match="No space left"):
        get(tmp_path, home.url)
    assert len(home.asked) == 1


@pytest.mark.parametrize("status, said", [(403, "refuses .403"), (404, "refuses .404"), (503, "503")])
def test_a_home_that_refuses_is_named_and_the_next_one_is_asked(home, tmp_path, capsys, status, said):
    refusing = Home()
    refusing.status = status
    get(tmp_path, refusing.url, home.url)
    assert files(tmp_path) == IMAGES and str(status) in capsys.readouterr().err
    with pytest.raises(transfer.Problem, match=said + ".*put it into"):
        get(tmp_path / "other", refusing.url)


def test_a_web_page_in_place_of_the_file_is_no_file(home, tmp_path):
    home.kind = "text/html; charset=utf-8"
    home.content = b"<html><title>Google Drive - Quota exceeded</title>Sorry, too many users have viewed this.</html>"
    with pytest.raises(transfer.Problem, match="quota of downloads is used up"):
        get(tmp_path, home.url)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"set.zip": 7}', "\xff"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "download.json").write_text(text, encoding="latin-1")
    with pytest.raises(transfer.Problem, match="download.json: is damaged; remove it"):
        get(tmp_path, "http://127.0.0.1:9/set.zip")


def test_no_network(tmp_path):
    with pytest.raises(transfer.Problem, match="cannot be reached"):
        get(tmp_path, "http://127.0.0.1:9/set.zip")


def test_another_file_of_the_same_size_is_refused_and_removed(home, tmp_path, capsys):
    home.content = ZIP[:-1] + b"x"
    with pytest.raises(transfer.Problem, match="none of its 1 homes"):
        get(tmp_path, home.url)
    assert "SHA-256" in capsys.readouterr().err and files(tmp_path) == {}


def test_a_file_of_another_size_is_refused_before_it_is_loaded(home, tmp_path):
    home.content = ZIP * 2
    with pytest.raises(transfer.Problem, match="offers .* where .* are expected"):
        get(tmp_path, home.url)
    assert files(tmp_path) == {}


def test_an_archive_put_there_by_hand_is_checked_and_used(home, tmp_path):
    (tmp_path / "set.zip").write_bytes(ZIP)
    get(tmp_path, home.url, keep=True)
    assert home.asked == [] and files(tmp_path) == {**IMAGES, "set.zip": ZIP}
    (tmp_path / "other").mkdir()
    (tmp_path / "other/set.zip").write_bytes(ZIP[:-1])
    with pytest.raises(transfer.Problem, match="is not the published file"):
        get(tmp_path / "other", home.url)
    assert (tmp_path / "other/set.zip").exists()


@pytest.mark.parametrize("damage", [lambda z: z[:len(z) // 2], lambda z: z[:300] + b"x" * 200 + z[500:], lambda z: b"",
                                    lambda z: b"no archive at all"], ids=["truncated", "corrupt", "empty", "text"])
def test_a_damaged_archive_without_a_known_checksum_is_found_by_unpacking_and_removed(home, tmp_path, damage):
    home.content = damage(ZIP)
    with pytest.raises(transfer.Problem, match="damaged"):
        get(tmp_path, home.url, known=False)
    assert "set.zip" not in files(tmp_path) and not list(tmp_path.rglob("*.part"))
    home.content = ZIP
    get(tmp_path, home.url, known=False)
    assert files(tmp_path) == IMAGES


LINK = ("../../outside.jpg", stat.S_IFLNK | 0o777)


@pytest.mark.parametrize("name, content", [
    ("../outside.jpg", b"x"), ("SET/../../outside.jpg", b"x"), ("/outside.jpg", b"x"),
    ("SET\\..\\..\\outside.jpg", b"x"), ("C:\\outside.jpg", b"x"), ("SET/link", LINK)])
def test_an_archive_that_reaches_out_of_the_folder_writes_nothing(home, tmp_path, name, content):
    home.content = packed({**IMAGES, name: content})
    out = tmp_path / "a/b/out"
    with pytest.raises(transfer.Problem, match="nothing was unpacked"):
        get(out, home.url, known=False)
    assert set(files(tmp_path)) == {"a/b/out/set.zip"}


def test_an_archive_that_unpacks_to_far_more_than_it_is_writes_nothing(home, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("SET/images/0.jpg", bytes(30_000_000))
    home.content = buffer.getvalue()
    with pytest.raises(transfer.Problem, match="no set of images; nothing was unpacked"):
        get(tmp_path, home.url, known=False)
    assert set(files(tmp_path)) == {"set.zip"}


def test_nothing_is_written_through_a_link(home, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/SET").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(transfer.Problem, match="link"):
        get(tmp_path / "out", home.url)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_only_the_set_comes_out_of_an_archive_wherever_it_lies_in_it(home, tmp_path, capsys):
    home.content = packed({"README.md": b"x", "download.py": b"x", "__MACOSX/._1.jpg": b"x",
                           **{f"top/{name}": content for name, content in IMAGES.items()}})
    get(tmp_path, home.url, known=False)
    assert files(tmp_path) == IMAGES and "3 others in it left out" in capsys.readouterr().out


def test_an_archive_that_lacks_what_is_known_to_be_in_it_is_reported(home, tmp_path, capsys):
    get(tmp_path, home.url, holds={"SET": 6})
    assert "SET holds 5 images, 6 were expected" in capsys.readouterr().out
    with pytest.raises(transfer.Problem, match="holds no OTHER"):
        get(tmp_path / "b", home.url, holds={"OTHER": 5})


def test_one_set_that_fails_stops_no_other(home, tmp_path):
    good = Archive("good.zip", "", (home.url,), "", None, None, {"SET": 5})
    bad = Archive("bad.zip", "", ("http://127.0.0.1:9/bad.zip",), "http://a.page/", None, None, {"BAD": 5})
    with pytest.raises(transfer.Problem, match="bad.zip"):
        download.main(argparse.Namespace(only=None, out=tmp_path, keep=False), {"bad": bad, "good": good})
    assert files(tmp_path) == IMAGES


def test_every_archive_has_homes_terms_and_a_place_where_the_steps_look():
    from preprocess.labels import landmarks, wider
    places = {name for archive in ARCHIVES.values() for name in archive.holds}
    for path in (wider.TRAIN_LISTS[0], wider.VAL_LISTS[0], wider.TRAIN_IMAGES, wider.VAL_IMAGES, landmarks.TRAIN_LIST,
                 landmarks.TEST_LIST):
        assert Path(path).parts[0] in places
    for archive in ARCHIVES.values():
        assert archive.homes and archive.terms and archive.page.startswith("http")
        assert all(url.startswith("http") for url in archive.homes)
        assert (archive.sha256 is None) == (archive.size is None)
        assert archive.sha256 is None or len(archive.sha256) == 64


def test_the_script_needs_no_package_and_refuses_in_one_sentence(tmp_path):
    script = [sys.executable, "-S", str(ROOT / "data" / "download.py")]        # -S: no installed packages
    done = subprocess.run([*script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--only" in done.stdout
    (tmp_path / "file").write_text("")
    done = subprocess.run([*script, "--only", "wider_split", "--out", str(tmp_path / "file")], capture_output=True,
                          text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
