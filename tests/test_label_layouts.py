"""Folders as label tools export them, names as people have them, and what lies about between them."""
import json
import re
import unicodedata

import numpy as np
import pytest

import label_files as lf
from detection.align import TEMPLATE
from detection.errors import UserError
from preprocess.labels import sets

SIZE, BOX = (640, 480), [100.0, 120.0, 180.0, 220.0]
NAMES = [f"{i:02d}" for i in range(30)]


def images(folder, names=NAMES, extension=".jpg"):
    for name in names:
        path = folder / (name + extension)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lf.png(SIZE))


def scenes(names=NAMES, extension=".jpg"):
    points = np.array(BOX[:2]) + TEMPLATE / 112 * np.subtract(BOX[2:], BOX[:2])
    return [(name + extension, SIZE, np.array([BOX]), points[None]) for name in names]


def files(form, names=NAMES, extension=".jpg"):
    return lf.FORMS[form][0](lf.labels(scenes(names, extension), form))


def write(folder, texts):
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def read(data):
    found = sets.read_set(data, data / "sets" / "one")
    for image in found:
        np.testing.assert_allclose(image.boxes, np.tile(BOX, (len(image.boxes), 1)), atol=0.1)
    return found


def moved(texts, old, new):
    return {new + name.removeprefix(old): text for name, text in texts.items()}


@pytest.mark.parametrize("place, form, old, new", [
    ("images", "coco", "annotations.json", "annotations/instances_default.json"),       # CVAT
    ("train", "coco", "annotations.json", "train/_annotations.coco.json"),              # Roboflow
    ("JPEGImages", "voc", "annotations/", "Annotations/"),                              # the VOC challenge, CVAT
    ("train", "voc", "annotations/", "train/"),                                         # Roboflow
    (".", "voc", "annotations/", "./"),                                                 # labelImg
    ("images", "voc", "annotations/", "xml/"),
    ("train/images", "yolo", "labels/", "train/labels/"),                               # Roboflow
    ("images/train", "yolo", "labels/", "labels/train/"),                               # Ultralytics
    ("obj_train_data", "yolo", "labels/", "obj_train_data/"),                           # CVAT
    (".", "labelme", "images/", "./"),
    ("images", "labelme", "images/", "annotations/"),
    ("images", "label studio", "label_studio.json", "project-3-at-2024-05-01-10-20-1a2b3c4d.json"),
    ("images", "cvat", "annotations.xml", "job_7/annotations.xml"),
    ("train/images", "retinaface", "label.txt", "train/label.txt"),
    ("img_celeba", "celeba", "", "Anno/")])
def test_layouts_of_exporters_are_found(tmp_path, place, form, old, new):
    folder = tmp_path / "sets" / "one"
    images(folder / place)
    write(folder, moved(files(form), old, new))
    assert len(read(tmp_path)) == len(NAMES)


def test_splits_of_one_export_are_read_together_each_beside_its_images(tmp_path):
    folder = tmp_path / "sets" / "one"
    for split in ("train", "valid"):
        images(folder / split)
        write(folder, moved(files("coco"), "annotations.json", f"{split}/_annotations.coco.json"))
    assert len({image.path for image in read(tmp_path)}) == 2 * len(NAMES)


@pytest.mark.parametrize("name", ["images/{}.jpg", "images\\{}.jpg", "./{}.jpg", "/home/me/set/{}.jpg", "{}.JPG",
                                  "C:\\Users\\me\\{}.jpg", "../images/{}.jpg", "{}.png", "{}"])
def test_names_are_matched_as_a_person_would(tmp_path, name):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    texts = files("coco")
    content = json.loads(texts["annotations.json"])
    for image in content["images"]:
        image["file_name"] = name.format(image["file_name"].removesuffix(".jpg"))
    write(folder, {"annotations.json": json.dumps(content)})
    assert len(read(tmp_path)) == len(NAMES)


@pytest.mark.parametrize("stored, labeled", [("a b", "a%20b"), ("Ünal", unicodedata.normalize("NFD", "Ünal")),
                                             (unicodedata.normalize("NFD", "游行é"), "游行é"), ("IMG_1", "img_1"),
                                             ("100%", "100%"), ("a.b", "a.b")])
def test_names_are_matched_in_another_encoding_case_and_unicode_form(tmp_path, stored, labeled):
    folder = tmp_path / "sets" / "one"
    images(folder / "images", [stored])
    write(folder, files("coco", [labeled]))
    assert [image.path for image in read(tmp_path)] == [f"sets/one/images/{stored}.jpg"]


def test_a_name_that_fits_several_images_is_refused_with_them(tmp_path, capsys):
    folder = tmp_path / "sets" / "one"
    images(folder / "images", [*NAMES, "day 1/x", "day 2/x"])
    write(folder, files("coco", [*NAMES, "x"]))
    assert len(read(tmp_path)) == len(NAMES)
    assert "2 images fit the name x.jpg: images/day 1/x.jpg, images/day 2/x.jpg" in capsys.readouterr().out


def test_a_label_of_another_folder_takes_no_image_that_has_its_own(tmp_path, capsys):
    folder = tmp_path / "sets" / "one"
    names = [f"{i:03d}" for i in range(80)]
    images(folder / "images", [*names, "day 1/x", "y"])
    write(folder, files("coco", [*names, "day 1/x", "day 2/x", "day 1/y", "day 2/y"]))
    assert len(read(tmp_path)) == len(names) + 1
    out = capsys.readouterr().out
    assert "no image day 2/x.jpg" in out and "2 names fit sets/one/images/y.jpg" in out


def test_images_of_the_same_stem_are_distinguished_by_their_extension(tmp_path):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    images(folder / "images", extension=".png")
    write(folder, files("coco"))
    assert all(image.path.endswith(".jpg") for image in read(tmp_path))


JUNK = {"._00.xml": "junk", ".ipynb_checkpoints/00.xml": "junk", "__MACOSX/._00.jpg": "junk", "Thumbs.db": "x",
        "labels/train.txt": "images/00.jpg\n", "labels/classes.txt": "face\n", "notes.json": '{"categories": []}',
        "labels.cache": "x", "README.roboflow.txt": "hello", "data.yaml": "names: [face]\n"}


@pytest.mark.parametrize("form", ["voc", "yolo", "labelme", "coco"])
def test_files_of_other_programs_do_not_count_but_are_counted(tmp_path, capsys, form):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    junk = JUNK if form != "labelme" else {**JUNK, "images/notes.json": '{"a": 1}'}
    write(folder, {**junk, **files(form)})
    assert len(read(tmp_path)) == len(NAMES)
    out = capsys.readouterr().out
    assert "skipped" not in out and "hidden files, thumbnails and backups | 5" in out and "not used, " in out


def test_a_broken_label_of_an_image_is_no_junk(tmp_path, capsys):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    write(folder, {**files("yolo"), "labels/00.txt": "hello\n"})
    assert len(read(tmp_path)) == len(NAMES) - 1
    assert "labels/00.txt: `hello` is not the number of a class" in capsys.readouterr().out


def test_images_without_a_label_are_counted_and_background_where_that_is_said(tmp_path, capsys):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    write(folder, files("yolo", NAMES[:20]))
    (folder / "labels" / "20.txt").write_text("")               # YOLO's own sign for no face
    assert len(read(tmp_path)) == 21
    out = capsys.readouterr().out
    assert '9 images without a label are not used' in out and '{"background": true}' in out
    (folder / "set.json").write_text('{"background": true}')
    found = read(tmp_path)
    assert len(found) == 30 and sum(not len(image.boxes) for image in found) == 10


DAMAGE = {      # form -> (what of a label file becomes what) of the image 05
    "voc": (r"<xmax>.*", ""), "yolo": (r"^0", "0 x"), "ibug": (r"\n}", "\n7 7\n}"), "labelme": (r".{9}$", ""),
    "coco": (r'("image_id": 5, .*?"bbox": ).*?]', r"\1[]"), "official": (r"(05\.jpg\n1\n)", r"\1x"),
    "one-line": (r"(05\.jpg \S+)", r"\1o"), "retinaface": (r"(# 05\.jpg\n)", r"\1x"),
    "labelv2": (r"(# 05\.jpg .*\n)", r"\1x"), "celeba": (r"(05\.jpg )", r"\1 7 "), "mtfl": (r"(05\.jpg )", r"\1x"),
    "cvat": (r'(name="05\.jpg".*?xtl=")', r"\1x"), "label studio": (r'("id": 5, .*?)"x":', r'\1"y":')}


def assert_skipped_alone(tmp_path, capsys, texts, skipped=("05",), made=None):
    """Of the images of `made`, and an unlabeled one, those `skipped` appear once: in what is skipped."""
    made = made or scenes()
    folder = lf.write(tmp_path, [*made, ("unlabeled.jpg", SIZE)], texts)
    kept = [f"sets/one/images/{name}" for name, *_ in made if name.removesuffix(".jpg") not in skipped]
    assert [image.path for image in sets.read_set(tmp_path, folder)] == kept
    out = capsys.readouterr().out
    assert out.count("skipped: ") == 1 and "1 images without a label are not used" in out
    write(folder, {"set.json": '{"background": true}'})
    assert [image.path for image in sets.read_set(tmp_path, folder)] == [*kept, "sets/one/images/unlabeled.jpg"]


@pytest.mark.parametrize("form", lf.FORMS)
def test_an_image_whose_label_is_damaged_is_neither_background_nor_without_a_label(tmp_path, capsys, form):
    made = [(f"{i:02d}.jpg", *what) for i, (_, *what) in enumerate(lf.scene(np.random.default_rng(5), 30, True))]
    texts = lf.FORMS[form][0](lf.labels(made, form))
    assert_skipped_alone(tmp_path, capsys, {
        name: re.sub(*DAMAGE[form], text, count=1) if len(texts) < len(made) or "05." in name else text
        for name, text in texts.items()}, made=made)


@pytest.mark.parametrize("line", ["05 1oo 120 180 220", "05 100 120 180 22O", "05 100 120 180", "05 100 1x0 180 220",
                                  "05 100 120 180 220 nan nan nan nan", "05 - - - -", "05.jpg 100 120 180 x"])
def test_a_damaged_line_still_names_its_image(tmp_path, capsys, line):
    text = files("one-line")["annotations.txt"].replace(".jpg", "")
    assert_skipped_alone(tmp_path, capsys, {"annotations.txt": re.sub("05 .*", line, text)})


def test_a_damaged_label_is_that_of_the_image_that_it_names_inside(tmp_path, capsys):
    texts = files("voc")
    texts["annotations/other.xml"] = texts.pop("annotations/05.xml").replace("<xmin>", "<xmin>x")
    assert_skipped_alone(tmp_path, capsys, texts)


def test_images_that_a_name_fits_equally_are_not_without_a_label(tmp_path, capsys):
    images(tmp_path / "sets" / "one" / "images", ["day 1/x", "day 2/x"])
    assert_skipped_alone(tmp_path, capsys, files("coco", [*NAMES, "x"]), ())


def test_a_labeled_image_that_does_not_decode_is_not_without_a_label(tmp_path, capsys):
    write(tmp_path / "sets" / "one", {"images/broken.jpg": "x"})
    assert_skipped_alone(tmp_path, capsys, files("coco", [*NAMES, "broken"]), ())


def test_images_in_linked_folders_and_in_unread_formats_are_found_or_counted(tmp_path, capsys):
    folder = tmp_path / "sets" / "one"
    images(tmp_path / "elsewhere")
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "images" / "x.heic").write_bytes(b"x")
    write(folder, files("coco"))
    assert len(read(tmp_path)) == len(NAMES)
    assert "images in .heic, which OpenCV does not read | 1" in capsys.readouterr().out


def test_a_second_face_of_an_image_in_a_list_of_one_face_a_line_joins_the_first(tmp_path):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    text = files("celeba")["list_bbox_celeba.txt"] + "00.jpg 300 200 80 100\n"
    write(folder, {"list_bbox_celeba.txt": text})
    found = sets.read_set(tmp_path, folder)
    assert [len(image.boxes) for image in found] == [2] + [1] * (len(NAMES) - 1)


def test_labels_in_a_form_that_is_not_known_are_named(tmp_path):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    write(folder, {"labels.csv": "00.jpg,1,2,3,4\n"})
    with pytest.raises(UserError, match=r"no labels in another form that is known; it has labels\.csv"):
        read(tmp_path)


def test_labels_of_a_second_form_are_counted(tmp_path, capsys):
    folder = tmp_path / "sets" / "one"
    images(folder / "images")
    write(folder, {**files("coco"), **files("voc")})
    assert len(read(tmp_path)) == len(NAMES)
    assert "label files of another form, Pascal VOC | 30" in capsys.readouterr().out


@pytest.mark.parametrize("form", lf.WITH_SIZE)
@pytest.mark.parametrize("factor", [2, 0.5])
def test_every_form_that_states_sizes_follows_images_that_were_resized(tmp_path, capsys, form, factor):
    rng = np.random.default_rng(5)
    right = lf.scene(rng)
    resized = [(name, (round(size[0] * factor), round(size[1] * factor)), boxes * factor, points * factor)
               for name, size, boxes, points in right]
    folder = lf.write(tmp_path, resized, lf.FORMS[form][0](lf.labels(right, form)))
    for image, (*_, boxes, _) in zip(sets.read_set(tmp_path, folder), resized):
        np.testing.assert_allclose(image.boxes, boxes, atol=1.5)
    assert "their boxes are rescaled" in capsys.readouterr().out


@pytest.mark.parametrize("form", lf.WITH_SIZE)
@pytest.mark.parametrize("labeled, today", [((640, 427), (4000, 2667)), ((427, 640), (2667, 4000)),
                                            ((640, 426), (4000, 2667)),         # cut off, not rounded
                                            ((300, 200), (1920, 1281)), ((4000, 2667), (640, 427)),
                                            ((306, 230), (317, 237))])          # of 4000 x 3000, both
def test_labels_of_a_shrunk_copy_fit_its_image_though_whole_pixels_miss_the_proportions(
        tmp_path, capsys, form, labeled, today):
    def at(size):
        return [(name, size, boxes / np.tile(old, 2) * np.tile(size, 2), points / old * size)
                for name, old, boxes, points in lf.scene(np.random.default_rng(5))]
    folder = lf.write(tmp_path, at(today), lf.FORMS[form][0](lf.labels(at(labeled), form)))
    found = sets.read_set(tmp_path, folder)
    for image, (*_, boxes, _) in zip(found, at(today), strict=True):
        np.testing.assert_allclose(image.boxes, boxes, atol=1.5 + 1.5 * max(today) / max(labeled))
    assert "their boxes are rescaled" in capsys.readouterr().out


def test_a_nearly_square_image_that_was_turned_is_refused(tmp_path):
    right = [(name, (500, 499), *rest) for name, _, *rest in lf.scene(np.random.default_rng(5))]
    folder = lf.write(tmp_path, [(name, (499, 500)) for name, *_ in right], lf.coco(lf.labels(right, "coco")))
    with pytest.raises(UserError, match="orientation in its EXIF data"):
        sets.read_set(tmp_path, folder)


@pytest.mark.parametrize("form", lf.WITH_SIZE)
def test_every_form_that_states_sizes_refuses_images_of_other_proportions(tmp_path, form):
    right = lf.scene(np.random.default_rng(5))
    turned = [(name, (size[1], size[0] + 50), boxes, points) for name, size, boxes, points in right]
    folder = lf.write(tmp_path, turned, lf.FORMS[form][0](lf.labels(right, form)))
    with pytest.raises(UserError, match="was labeled at"):
        sets.read_set(tmp_path, folder)
