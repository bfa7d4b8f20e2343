"""Damaged, mislabelled and hostile files: one plain sentence that names the file, or skipped and counted."""
import ast
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib

import cv2
import numpy as np
import pytest

from config import CASCADE, MAX_PIXELS, PNET, RNET
from conftest import ROOT
from detection import Detector, UserError, images, weights
from preprocess import labels, samples, tfrecord
from preprocess.labels import sets
from preprocess.labels import wider as wider_lists
from test_batches import make_records

FACE = ROOT / "picture" / "astronaut.jpg"


# --- Images -------------------------------------------------------------------------------------------------------

def png_of(width, height):
    """A PNG whose header announces that size, with nothing behind it: what a decompression bomb begins with."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def encoded(image, extension, *options):
    return cv2.imencode(extension, image, list(options))[1].tobytes()


@pytest.fixture(scope="module")
def face():
    return cv2.imread(str(FACE))[:300, 80:400]


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_an_image_that_is_cut_short_is_refused_not_filled_with_gray(tmp_path, face, extension, share):
    whole = encoded(face, extension)
    path = tmp_path / f"cut{extension}"
    path.write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(UserError, match="cut"):
        images.read(path)


def test_a_progressive_jpeg_that_is_cut_short_is_refused(tmp_path, face):
    whole = encoded(face, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    (tmp_path / "cut.jpg").write_bytes(whole[:-1000])
    with pytest.raises(UserError, match="cut.jpg"):
        images.read(tmp_path / "cut.jpg")


def test_gray_alpha_16_bit_and_mislabelled_images_are_read_as_color(tmp_path, face):
    gray = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    alpha = np.dstack([face, np.full(face.shape[:2], 255, np.uint8)])
    for name, content, wanted in (("gray.png", encoded(gray, ".png"), np.dstack([gray] * 3)),
                                  ("alpha.png", encoded(alpha, ".png"), face),
                                  ("deep.png", encoded(face.astype(np.uint16) * 257, ".png"), face),
                                  ("deep.tif", encoded(face.astype(np.uint16) * 257, ".tif"), face),
                                  ("really a png.jpg", encoded(face, ".png"), face)):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(images.read(tmp_path / name), wanted, err_msg=name)


def cmyk_jpeg(*inks):
    """A JPEG of 8 x 8 px in one color of four inks 0..255, inverted as Photoshop writes them: a baseline file by hand.

    Each component is one block with nothing but its mean, in units of a gray level.
    """
    def segment(marker, content):
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    bits = ""
    for ink in inks:
        level = 255 - ink - 128
        size = abs(level).bit_length()
        value = level if level >= 0 else level + (1 << size) - 1
        bits += f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0"       # mean, then the end of the block
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    components = b"".join(bytes([i, 0x11, 0]) for i in range(1, 5))
    return (b"\xff\xd8" + segment(0xEE, b"Adobe\0\x64\0\0\0\0\0") + segment(0xDB, b"\0" + b"\x08" * 64)
            + segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + components)
            + segment(0xC4, b"\x00" + bytes([0, 0, 0, 9] + [0] * 12) + bytes(range(9)))
            + segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
            + segment(0xDA, b"\4" + b"".join(bytes([i, 0]) for i in range(1, 5)) + b"\0\x3f\0") + data + b"\xff\xd9")


@pytest.mark.parametrize("inks, color", [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (0, 0, 255)),
                                          ((255, 0, 0, 0), (255, 255, 0)), ((0, 0, 0, 200), (55, 55, 55))])
def test_an_image_in_four_inks_is_read_as_color(tmp_path, inks, color):
    (tmp_path / "cmyk.jpg").write_bytes(cmyk_jpeg(*inks))
    np.testing.assert_allclose(images.read(tmp_path / "cmyk.jpg"), np.full((8, 8, 3), color), atol=3)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded_and_the_user_can_raise_the_limit(tmp_path):
    """In processes of their own, as OpenCV reads the limit when it loads; the first may hold 2 GB, the bomb takes 6."""
    (tmp_path / "bomb.png").write_bytes(png_of(45000, 45000))
    (tmp_path / "large.png").write_bytes(encoded(np.zeros((1000, 1000, 3), np.uint8), ".png"))
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); from detection import "
            "images, UserError\ntry: print(images.read(sys.argv[1]).shape)\nexcept UserError as e: print(e)")

    def read(name, **limit):
        return subprocess.run([sys.executable, "-c", code, tmp_path / name], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **limit}, check=True).stdout
    env = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS)}
    assert "bomb.png: has more pixels than is safe" in read("bomb.png", **env)
    assert "large.png: has more pixels" in read("large.png", OPENCV_IO_MAX_IMAGE_PIXELS="999999")
    assert "(1000, 1000, 3)" in read("large.png", OPENCV_IO_MAX_IMAGE_PIXELS="1000000")


def test_a_png_that_claims_more_bytes_than_it_has_is_refused_before_they_are_reserved(tmp_path):
    good = encoded(np.zeros((8, 8, 3), np.uint8), ".png")
    at = good.index(b"IDAT") - 4
    (tmp_path / "claims.png").write_bytes(good[:at] + b"\xff\xff\xff\xf0" + good[at + 4:])
    code = ("import sys; from detection import images, UserError; from bench import measure\n"
            "try: images.read(sys.argv[1])\nexcept UserError as e: print(e)\n"
            "print(measure.resident(peak=True))")
    said, megabytes = subprocess.run([sys.executable, "-c", code, tmp_path / "claims.png"], cwd=ROOT, check=True,
                                     capture_output=True, text=True).stdout.splitlines()
    assert "claims.png: is not an image" in said and float(megabytes) < 500


def test_one_pixel_and_very_thin_pictures_have_no_face(tmp_path, script):
    for name, shape in (("one.png", (1, 1, 3)), ("row.png", (1, 40000, 3)), ("strip.png", (40000, 30, 3))):
        (tmp_path / name).write_bytes(encoded(np.zeros(shape, np.uint8), ".png"))
    out = script("test.py", tmp_path, "--no-draw", "--json", tmp_path / "f.json").stdout
    assert "0 faces in 3 of 3 files" in out
    assert json.loads((tmp_path / "f.json").read_text()) == {"one.png": [], "row.png": [], "strip.png": []}


def test_a_picture_whose_name_is_not_in_utf_8_is_detected_in_and_named(tmp_path):
    path = os.fsencode(tmp_path) + b"/a\xffb.jpg"
    with open(path, "wb") as file:
        file.write(FACE.read_bytes())
    done = subprocess.run([sys.executable, "test.py", path, "--no-draw", "--min-face", "60", "--json",
                           tmp_path / "f.json"],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "\\udcffb.jpg: 1 face" in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 400 + ".jpg", ".", "/dev/null"])
def test_names_that_are_no_image_are_refused(tmp_path, name):
    with pytest.raises(UserError):
        images.read(tmp_path / name if "/" not in name else name)


# --- Arrays -------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def detector():
    return Detector(min_face_size=60)


@pytest.mark.parametrize("change, way", [
    (lambda i: i[..., 0], "COLOR_GRAY2BGR"), (lambda i: np.dstack([i, i[..., :1]]), "COLOR_BGRA2BGR"),
    (lambda i: (i / 255).astype(np.float32), r"255 \* image"), (lambda i: i.astype(np.float64), "uint8"),
    (lambda i: i.astype(np.int32), "int32"), (lambda i: i > 100, "bool"), (lambda i: i[..., :2], "uint8"),
    (lambda i: i[None], "uint8"), (lambda i: i[:0], "uint8"), (lambda i: i[:, :0], "uint8"),
    (lambda i: i[..., :0], "uint8"),
    (lambda i: i.tolist(), "list"), (lambda i: None, "NoneType"), (lambda i: "picture.jpg", "str"),
    (lambda i: i.transpose(2, 0, 1), r"\(3, ")])
def test_arrays_that_are_no_picture_are_refused_with_the_way_out(detector, face, change, way):
    with pytest.raises(ValueError, match=way):
        detector.detect(change(face))
    with pytest.raises(ValueError, match=way):
        detector.detect_batch([face, change(face)])


@pytest.mark.parametrize("view", [np.asfortranarray, lambda i: np.repeat(np.repeat(i, 2, 0), 2, 1)[::2, ::2],
                                  lambda i: i[::-1][::-1], lambda i: np.dstack([i, i])[..., 3:],
                                  lambda i: np.frombuffer(i.tobytes(), np.uint8).reshape(i.shape)],
                         ids=["fortran", "steps", "reversed twice", "slice of channels", "read-only"])
def test_any_layout_in_memory_gives_the_same_faces(detector, face, view):
    wanted, found = detector.detect(face), detector.detect(view(face))
    assert len(wanted) == 1
    np.testing.assert_array_equal(found.boxes, wanted.boxes)
    np.testing.assert_array_equal(found.landmarks, wanted.landmarks)


def test_a_mirrored_view_gives_what_its_copy_gives(detector, face):
    found, wanted = detector.detect(face[:, ::-1]), detector.detect(face[:, ::-1].copy())
    assert len(wanted) == 1
    np.testing.assert_array_equal(found.boxes, wanted.boxes)


# --- Annotations --------------------------------------------------------------------------------------------------

GOOD = "".join(f"e/{i}.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n" for i in range(60))


def read_wider(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return wider_lists.read(path, "i")


@pytest.mark.parametrize("broken", [
    "e/bad.jpg\n²\n5 5 50 60 0 0 0 0 0 0\n", f"e/bad.jpg\n{'9' * 5000}\n5 5 50 60 0 0 0 0 0 0\n",
    "e/bad.jpg\n-1\n5 5 50 60 0 0 0 0 0 0\n", "e/b\0d.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n",
    "e\\..\\..\\bad.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n", "/bad.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n",
    "C:/bad.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n", "e/bad.jpg\n1\n5 5 50 60 0 0 0 0 0 0 7\n"],
    ids=["superscript", "endless", "negative", "NUL", "way out", "absolute", "drive", "extra number"])
def test_broken_entries_are_skipped_alone(tmp_path, capsys, broken):
    listed = read_wider(tmp_path, GOOD + broken + "e/last.jpg\n1\n5 5 50 60 0 0 0 0 0 0\n")
    assert [p.path for p in listed] == [*(f"i/e/{i}.jpg" for i in range(60)), "i/e/last.jpg"]
    assert capsys.readouterr().out.count("skipped:") == 1


def test_an_endless_line_takes_no_endless_time(tmp_path):
    """Quadratic, it would take minutes."""
    line = "e/x " + "1 " * 200_000 + "y\n"
    image, = read_wider(tmp_path, line + "e/y 1 1 50 50\n")[1:]
    assert image.path == "i/e/y.jpg"


def test_text_of_another_encoding_is_reported(tmp_path):
    for content in (GOOD.encode("utf-16"), b"\xff\xfe\0\1" * 99, b"\x80" + GOOD.encode()):
        with pytest.raises(UserError, match="list.txt: is not a text file in UTF-8"):
            read_wider(tmp_path, content)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb", "a\u2028b", os.fsdecode(b"a\xffb")])
def test_images_whose_names_no_list_can_hold_are_named_and_left_out(tmp_path, capsys, name):
    folder = tmp_path / "sets" / "one"
    for image in [name, *"cdefghijklmnopqrstuvwxyz"]:
        for place, suffix in (("images", ".png"), ("labels", ".txt")):
            (folder / place).mkdir(parents=True, exist_ok=True)
            (folder / place / (image + suffix)).write_bytes(
                b"0 0.5 0.5 0.4 0.4\n" if place == "labels" else encoded(np.zeros((20, 20, 3), np.uint8), ".png"))
    listed, _ = sets.training(tmp_path)
    assert len(listed) == 24 and "rename it" in capsys.readouterr().out


def write_set(tmp_path, name, content):
    folder = tmp_path / "sets" / "one"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(encoded(np.zeros((90, 120, 3), np.uint8), ".png"))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


BILLION = ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "aaaaaaaaaa">'
           + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
           + "]><annotation>&a9;</annotation>")


@pytest.mark.parametrize("name, content, sentence", [
    ("annotations/a.xml", BILLION.encode(), "DOCTYPE"), ("annotations/a.xml", BILLION.encode("utf-16"), "DOCTYPE"),
    ("annotations/a.xml", b"<a>" * 50_000, "is not XML"),
    ("annotations/a.xml", b'<?xml encoding="rot13"?><a/>', "is not XML"),
    ("annotations/a.xml", b'<?xml version="1.0" encoding="x-y"?><a/>', "is not XML"),
    ("annotations/a.xml", b"", "is not XML"),
    ("annotations.json", b"[" * 100_000, "is not a COCO"),
    ("annotations.json", b'{"images": [[]], "annotations": []}', "COCO"),
    ("annotations.json", b'{"images": [{"id": 1, "file_name": {}}], "annotations": []}', "no image"),
    ("set.json", b"[" * 100_000, "is not JSON"), ("set.json", b"\xff", "is not JSON"),
    ("set.json", b"[]", "must look like")])
def test_hostile_sets_are_refused_by_name(tmp_path, name, content, sentence):
    write_set(tmp_path, name, content)
    with pytest.raises(UserError, match=sentence):
        sets.training(tmp_path)


def test_a_face_beside_its_image_is_refused_before_it_becomes_a_crop_of_gigabytes():
    def reported(*box, invalid=False):
        image = labels.annotate("x.jpg", np.float32([box]), np.array([invalid]))
        try:
            labels.require_inside(image, 300, 200)
        except UserError as error:
            return str(error)
    assert "x.jpg: the face x1 y1 x2 y2 = 1000 1000 1050 1050 does not lie in this image of 300 x 200 px" in \
        reported(1000, 1000, 1050, 1050)
    assert reported(-900000, -900000, 900000, 900000) and reported(-100, 50, -20, 90) and reported(50, 190, 90, 250)
    assert reported(250, 150, 340, 240) is None and reported(-40, -40, 60, 60) is None      # cut by the border
    assert reported(1000, 1000, 1050, 1050, invalid=True) is None


# --- Lists and records --------------------------------------------------------------------------------------------

LINE = "a.jpg\t0 0 20 20 0 0\t0\t0 0 0 0\t0 0 0 0 0 0 0 0 0 0\n"


@pytest.mark.parametrize("change", [("a.jpg", "../a.jpg"), ("a.jpg", "/etc/a.jpg"), ("a.jpg", ""),
                                    ("0 0 20 20", "0 0 20"),
                                    ("20 20 0 0", "20 20 0 nan"), ("\t0\t", "\t7\t"), ("20 20 0", "20 20 2"),
                                    ("0 0 20", "0 0 99999999999"), ("0 0 20", "0 0 2e1"), ("0 0 0 0\t", "0 0 0 inf\t"),
                                    ("\t0\t", "\t"), ("\n", " 0\n")])
def test_lines_that_are_no_samples_are_no_samples(change):
    assert samples.parse(LINE).path == "a.jpg"
    with pytest.raises(ValueError):
        samples.parse(LINE.replace(*change, 1))


@pytest.mark.parametrize("crop", ["0 0 1000000 1000000", "20 20 0 0"])
def test_a_list_with_a_crop_of_gigabytes_is_named(tmp_path, script, crop):
    (tmp_path / "12").mkdir()
    (tmp_path / "a.jpg").write_bytes(encoded(np.zeros((90, 120, 3), np.uint8), ".jpg"))
    (tmp_path / "12" / "imglist.txt").write_text(LINE * 9 + LINE.replace("0 0 20 20", crop))
    error = script("preprocess/gen_tfrecords.py", 12, "--data", tmp_path, code=2).stderr
    assert "imglist.txt: `a.jpg" in error and "is not a sample" in error and "Traceback" not in error


def damage(path, kind):
    content = bytearray(path.read_bytes())
    if kind == "cut":
        content = content[:len(content) // 2]
    elif kind == "flipped":
        content[len(content) // 2] ^= 1
    elif kind == "zeros":
        content[100:] = bytes(len(content) - 100)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def pnet_training(tmp_path_factory):
    """A training of P-Net, its functions traced by an epoch that went well; its records are in 12/records."""
    from dataclasses import replace

    from train import loop, recipe
    folder = tmp_path_factory.mktemp("training")
    stored = make_records(folder / "12", 12, {"imglist": 900}, np.random.default_rng(7))
    small = replace(recipe.standard(PNET), epochs=1, batch_size=100)
    run = loop.Training(small, stored, folder / "t", folder / "graph")
    run.run()
    return run


@pytest.mark.parametrize("kind", ["cut", "flipped", "zeros"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_training_names_the_damaged_shard(pnet_training, kind, split):
    run = pnet_training
    shard = run.stored.folder / "records" / f"imglist-{split}-1.tfrecord"
    good = shard.read_bytes()
    damage(shard, kind)
    run.epoch, run.position, run.history = 0, 0, []
    try:
        with pytest.raises(UserError) as error, run.stored.named_errors():
            type(run.stored)(run.stored.folder, 12)         # finds that a file is too short
            run.run()
    finally:
        shard.write_bytes(good)
    kind_of_damage = "missing or cut short" if kind == "cut" else "damaged"
    assert f"{shard}: this shard is {kind_of_damage}; run `python preprocess/gen_tfrecords.py 12`" in str(error.value)


@pytest.mark.parametrize("options", [[], ["--init-from", ROOT / "model" / "pnet.npz"]], ids=["random", "warm"])
def test_the_script_names_the_damaged_shard_in_one_sentence(tmp_path, rng, script, options):
    make_records(tmp_path / "12", 12, {"imglist": 900}, rng)
    shard = tmp_path / "12" / "records" / "imglist-train-1.tfrecord"
    damage(shard, "flipped")
    error = script("train/train.py", 12, "--work", tmp_path, "--model", tmp_path, "--graph", tmp_path, "--epochs", 1,
                   *options, code=2).stderr
    line, = [line for line in error.splitlines() if line.startswith("error: ")]
    assert str(shard) in line and "gen_tfrecords.py 12" in line and "Traceback" not in error


def test_a_sheet_of_samples_that_cannot_be_drawn_or_written_is_told_in_one_sentence(tmp_path, rng, script):
    make_records(tmp_path / "12", 12, {"imglist": 4}, rng)       # none of them is held out
    show = ["preprocess/show_samples.py", 12, "--work", tmp_path]
    sheet, shard = tmp_path / "12" / "samples.png", tmp_path / "12" / "records" / "imglist-train-1.tfrecord"
    sheet.mkdir()
    for prepare, options, said in (
            (list, ["--split", "validation"], "12/records.json: there is no validation sample to draw"),
            (list, [], f"{sheet}: cannot be written"),
            (lambda: damage(shard, "flipped"), [], f"{shard}: this shard is damaged")):
        prepare()
        error = script(*show, *options, code=2).stderr
        assert said in error and error.count("\n") == 1, error


def test_an_error_that_comes_from_no_shard_is_not_blamed_on_one(tmp_path, rng):
    """Memory that runs out says nothing of the shards."""
    import tensorflow as tf
    stored = make_records(tmp_path, 12, {"imglist": 50}, rng)
    damage(tmp_path / "records" / "imglist-train-1.tfrecord", "flipped")
    with pytest.raises(tf.errors.ResourceExhaustedError), stored.named_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "of the training")


def test_records_of_another_size_are_named_though_the_manifest_says_otherwise(tmp_path, rng):
    """24 px crops hold exactly four crops of 12 px, and must not pass for them."""
    make_records(tmp_path, 24, {"imglist": 50}, rng)
    manifest = tmp_path / "records.json"
    manifest.write_text(manifest.read_text().replace('"size": 24', '"size": 12'))
    from preprocess import records
    from train import batches, recipe
    stored = records.Records(tmp_path, 12)
    with pytest.raises(UserError, match="tfrecord: this shard is damaged"), stored.named_errors():
        list(batches.training(stored, {"imglist": 10}, recipe.standard(PNET), 0).take(1))


@pytest.mark.parametrize("content", ["", "[]", "{}", "nonsense", "[" * 100_000, '{"outputs": 3, "report": 4}'])
def test_a_damaged_manifest_is_as_good_as_none(tmp_path, content):
    from pipeline import step
    from preprocess import records
    (tmp_path / "records.json").write_text(content)
    with pytest.raises(UserError, match="records.json"):
        records.Records(tmp_path, 12)
    assert step.Step(tmp_path, "records", {}, {}, {}).finished() is None


# --- Weights and checkpoints --------------------------------------------------------------------------------------

def bomb(path):
    """A compressed array of 4 GB in a file of 4 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped, zipped.open("conv1/weights.npy", "w",
                                                                             force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28,)})
        for _ in range(1 << 10):
            file.write(bytes(1 << 20))


def objects(path):
    np.savez(path, **{"conv1/weights": np.array([print], object)})


WEIGHTS = {"cut": lambda p: damage(p, "cut"), "flipped": lambda p: damage(p, "flipped"),
           "empty": lambda p: p.write_bytes(b""), "text": lambda p: p.write_text("weights"),
           "pickle": lambda p: p.write_bytes(pickle.dumps({"conv1/weights": 1})), "objects": objects,
           "one array": lambda p: np.save(open(p, "wb"), np.zeros(3)), "bomb": bomb,
           "R-Net's": lambda p: shutil.copy(ROOT / "model" / "rnet.npz", p),
           "strings": lambda p: np.savez(p, **{n: np.full(s, "x") for n, s in weights.shapes(PNET).items()}),
           "NaN": lambda p: np.savez(p, **{n: np.full(s, np.nan) for n, s in weights.shapes(PNET).items()})}


@pytest.mark.parametrize("harm", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weights_that_are_none_are_named(tmp_path, harm):
    for stage in CASCADE:
        shutil.copy(ROOT / "model" / f"{stage.name}.npz", tmp_path)
    harm(tmp_path / "pnet.npz")
    with pytest.raises(UserError, match="pnet.npz: ") as error:
        Detector(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("harm", ["cut", "flipped", "another net's", "older"])
def test_checkpoints_that_are_none_are_named(pnet_training, tmp_path, rng, harm):
    from train import loop, recipe
    checkpoint = tmp_path / "checkpoint.npz"
    shutil.copy(pnet_training.checkpoint, checkpoint)
    if harm == "another net's":
        stored = make_records(tmp_path / "24", 24, {"positive": 20, "part": 20, "negative": 50, "landmark": 20}, rng)
        other = loop.Training(recipe.standard(RNET), stored, tmp_path / "r", tmp_path / "graph")
        other._save()
        shutil.copy(other.checkpoint, checkpoint)
    elif harm == "older":
        kept = dict(np.load(checkpoint))
        np.savez(checkpoint, **{name: array for name, array in kept.items() if name != "sums"})
    else:
        damage(checkpoint, harm)
    with pytest.raises(UserError, match="checkpoint.npz: is not a checkpoint of this training.*--force"):
        loop.Training(pnet_training.recipe, pnet_training.stored, tmp_path, tmp_path / "graph")


def test_training_that_goes_astray_keeps_the_first_bad_batch(tmp_path, rng):
    """One sample's target is absurd; the batch that holds it must be the one that is kept."""
    from dataclasses import replace

    from train import loop, recipe
    stored = make_records(tmp_path, 12, {"imglist": 300}, rng)
    shard = tmp_path / "records" / "imglist-train-2.tfrecord"
    bad = tfrecord.encode(np.full((12, 12, 3), 200, np.uint8), 1, np.full(4, 1e30), np.zeros(10))
    good = tfrecord.encode(np.zeros((12, 12, 3), np.uint8), 0, np.zeros(4), np.zeros(10))
    tfrecord.write(shard, [bad, *(good,) * 99])
    small = replace(recipe.standard(PNET), epochs=2, batch_size=20, learning_rate=0.001)
    run = loop.Training(small, stored, tmp_path / "t", tmp_path / "graph")
    with pytest.raises(UserError, match="in epoch 1 at batch .*bad-batch.npz; run again with --force and a smaller"):
        run.run()
    kept = np.load(tmp_path / "t" / "bad-batch.npz")
    assert kept["images"].shape == (20, 12, 12, 3) and (abs(kept["offsets"]) > 1e29).any()
    assert not (tmp_path / "t" / "checkpoint.npz").exists()


# --- Promises about the code --------------------------------------------------------------------------------------

FOLDERS = ("detection", "pipeline", "preprocess", "train", "export", "evaluate", "experiments", "data")
SOURCES = sorted([*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))])
FORBIDDEN = {"eval", "exec", "compile", "__import__",
             "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads",
             "marshal.load", "shelve.open", "os.system", "os.popen", "yaml.load", "torch.load", "joblib.load",
             "tempfile.mktemp", "keras.models.load_model", "keras.saving.load_model"}
IN_MEMORY = {"packed.py": "pickle.loads"}      # of what the same process has pickled: this module reads no file
READING = {"open", "path.open", "path.read_bytes", "Path.read_bytes", "os.open", "mmap.mmap", "np.load", "np.fromfile"}
NETWORK = {"urllib", "http", "socket", "requests", "ssl", "ftplib", "smtplib"}
ASKED = {"transfer.py", "workers.py"}      # data/download.py; --ray ADDRESS


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_from_a_file_is_executed_and_nothing_goes_to_the_network_unasked(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in FORBIDDEN or name == IN_MEMORY.get(path.name), ast.unparse(node)
            assert name not in READING or path.name not in IN_MEMORY, ast.unparse(node)
            for keyword in node.keywords:
                assert not (keyword.arg in ("allow_pickle", "shell")
                            and getattr(keyword.value, "value", 1)), ast.unparse(node)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
            [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        used = {name.split(".")[0] for name in names if name != "urllib.parse"}        # which splits and decodes text
        assert not used & NETWORK or path.name in ASKED, names
