"""Images of every kind that OpenCV decodes, and what is said of the others."""
import subprocess
import sys
import warnings
import zlib

import cv2
import numpy as np
import pytest

from conftest import ROOT
from detection import images
from detection.errors import UserError, UserNote
from detection.media import sources


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 5), None, 0, 255, cv2.NORM_MINMAX)


def encoded(picture, extension, *options):
    return cv2.imencode({".jfif": ".jpg", ".jpe": ".jpg"}.get(extension, extension), picture, options)[1].tobytes()


@pytest.mark.parametrize("extension", sorted(images.EXTENSIONS - {".pbm", ".pgm"}))
def test_every_known_extension_is_read_and_measured(tmp_path, picture, extension):
    (tmp_path / f"a{extension}").write_bytes(encoded(picture, extension))
    read = images.read(tmp_path / f"a{extension}")
    assert read.shape == picture.shape and np.abs(read.astype(int) - picture).mean() < 25     # GIF has 256 colors
    assert images.size(tmp_path / f"a{extension}") == (90, 60)
    assert [source.where for source in sources.find([tmp_path])[0]] == [tmp_path / f"a{extension}"]


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_few_bits_in_16_are_scaled(tmp_path, picture, extension, bits):
    deep = np.round(picture.astype(float) * ((1 << bits) - 1) / 255).astype(np.uint16)
    (tmp_path / f"a{extension}").write_bytes(encoded(deep, extension))
    np.testing.assert_allclose(images.read(tmp_path / f"a{extension}").astype(int), picture, atol=12)


def test_dark_images_stay_dark(tmp_path, picture):
    for dark in (picture // 17, (picture // 17).astype(np.uint16) * 257 + 300):
        (tmp_path / "a.png").write_bytes(encoded(dark, ".png"))
        assert images.read(tmp_path / "a.png").max() <= 16


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("missing", [2, 4])
def test_a_jpeg_that_lacks_only_its_end_is_read_with_a_note(tmp_path, picture, progressive, missing):
    whole = encoded(cv2.resize(picture, (400, 300)), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    (tmp_path / "a.jpg").write_bytes(whole)
    right = images.read(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(whole[:-missing])
    with pytest.warns(UserNote, match=r"a\.jpg: lacks its end"):
        np.testing.assert_allclose(images.read(tmp_path / "a.jpg").astype(int), right, atol=3)


def test_a_jpeg_of_which_more_is_missing_is_refused(tmp_path, picture):
    whole = encoded(cv2.resize(picture, (400, 300)), ".jpg")
    (tmp_path / "a.jpg").write_bytes(whole[:len(whole) * 9 // 10])
    with pytest.raises(UserError, match=r"a\.jpg"), warnings.catch_warnings():
        warnings.simplefilter("error")
        images.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_sizes_follow_the_orientation(tmp_path, picture, extension, order, orientation):
    """As OpenCV turns the image; 0 and 9 are none."""
    def number(value, length):
        return value.to_bytes(length, order)
    exif = ((b"II" if order == "little" else b"MM") + number(42, 2) + number(8, 4) + number(2, 2)
            + number(0x010F, 2) + number(2, 2) + number(1, 4) + b"a\0\0\0"
            + number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + b"\0\0" + bytes(4))
    whole = encoded(picture, extension)
    if extension == ".jpg":
        exif = b"Exif\0\0" + exif
        whole = whole[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + whole[2:]
    else:
        chunk = b"eXIf" + exif
        whole = whole[:33] + len(exif).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + whole[33:]
    (tmp_path / "a").write_bytes(whole)
    assert images.size(tmp_path / "a") == images.read(tmp_path / "a").shape[1::-1]


@pytest.mark.parametrize("place", ["before the pixels", "behind them"])
def test_the_orientation_of_a_png_is_found_wherever_it_is(tmp_path, place):
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)         # 180 kB, more than images.HEAD
    whole = encoded(noise, ".png")
    exif = chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + bytes(4))          # 6: sideways
    text = chunk(b"zTXt", b"key\0" + bytes(images.HEAD))
    at, more = (33, text) if place == "before the pixels" else (len(whole) - 12, b"")
    (tmp_path / "a.png").write_bytes(whole[:at] + more + exif + whole[at:])
    assert images.size(tmp_path / "a.png") == images.read(tmp_path / "a.png").shape[1::-1]


def test_folders_behind_links_are_searched_once_and_junk_is_not_read(tmp_path, picture):
    folder, other = tmp_path / "one", tmp_path / "two"
    for place in (folder, other, folder / ".ipynb_checkpoints"):
        place.mkdir()
        (place / "a.png").write_bytes(encoded(picture, ".png"))
    (folder / "._a.png").write_bytes(b"junk")
    (folder / "link").symlink_to(other)
    (other / "back").symlink_to(folder)
    found = [source.relative.as_posix() for source in sources.find([folder])[0]]
    assert found == ["a.png", "link/a.png"]


def test_unread_formats_are_named(tmp_path, picture):
    (tmp_path / "a.png").write_bytes(encoded(picture, ".png"))
    for name in ("b.heic", "c.HEIC"):
        (tmp_path / name).write_bytes(b"\0")
    done = subprocess.run([sys.executable, "test.py", tmp_path, "--no-draw"], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert "left out: 2 .heic files" in done.stdout and "1 of 1 files" in done.stdout


def test_unread_formats_are_counted_once_and_without_junk(tmp_path):
    for name in ("a.heic", "._a.heic", "in/b.heic", "in/c.dng"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0")
    with pytest.raises(UserError, match="no image or video there; left out: 2 .heic files.*; left out: 1 .dng file,"):
        sources.find([tmp_path, tmp_path, tmp_path / "in", f"{tmp_path}/**/*.heic"])
    with pytest.raises(UserError, match="no image or video there; known extensions are"):
        sources.find([f"{tmp_path}/._*"])
