"""Changes of the lists change what they say, and nothing else."""
import shutil
from argparse import Namespace
from collections import Counter

import pytest

from config import MODEL, RNET
from detection import UserError, images
from detection import boxes as bx
from experiments import ablation_lists
from preprocess import labels, samples
from preprocess.labels import wider as wider_lists

KINDS = ("positive", "part", "negative")
MIN_FACE = 24       # px, of the mining: not the default


@pytest.fixture(scope="module")
def mined(script, sample, tmp_path_factory):
    """Arguments as of experiments/ablation.py: mined lists of a set in which every third image has an invalid face."""
    data = tmp_path_factory.mktemp("data")
    (data / "WIDER_train").symlink_to(sample / "WIDER_train")
    (source,) = (sample / name for name in wider_lists.TRAIN_LISTS if (sample / name).is_file())
    lines = source.read_text().splitlines()
    for number, i in enumerate([i for i, line in enumerate(lines) if line.endswith(".jpg")]):
        if number % 3 == 0 and int(lines[i + 1]):
            face = lines[i + 2].split()
            lines[i + 2] = " ".join([*face[:7], "1", *face[8:]])
    target = data / source.relative_to(sample)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")
    script("preprocess/gen_hard_example.py", 12, "--data", data, "--work", data, "--min-face", MIN_FACE)
    shutil.copyfile(data / "24" / "positive.txt", data / "24" / "landmark.txt")
    return Namespace(size=24, data=data, work=data, model=MODEL)


def changed(change, args, folder):
    """-> ({kind: Counter of lines before}, {kind: Counter of lines with the change})."""
    ablation_lists.write(change, args, folder)
    assert (folder / "landmark.txt").samefile(args.work / "24" / "landmark.txt")
    return [{kind: Counter((place / f"{kind}.txt").read_text().splitlines()) for kind in KINDS}
            for place in (args.work / "24", folder)]


def images_with_invalid_faces(args):
    images = wider_lists.read(labels.find(args.data, *wider_lists.TRAIN_LISTS),
                                    wider_lists.TRAIN_IMAGES)
    return {image.path: image.boxes[image.invalid] for image in images if image.invalid.any()}


def test_border_windows_are_left_out_and_only_they(mined, tmp_path):
    before, after = changed("border windows not mined", mined, tmp_path)
    for kind in KINDS:
        assert after[kind] and after[kind] < before[kind]
        for lines, leaves in ((after[kind], False), (before[kind] - after[kind], True)):
            for line in list(lines)[:300]:
                sample = samples.parse(line)
                height, width = images.read(mined.data / sample.path).shape[:2]
                x1, y1, x2, y2 = sample.crop.tolist()
                assert (x1 < 0 or y1 < 0 or x2 > width or y2 > height) == leaves


def face_of(sample):
    return bx.decode(sample.offsets[None], sample.crop[None].astype("f4"))


def test_near_parts_are_those_from_0_4_on(mined, tmp_path):
    before, after = changed("parts from an IoU of 0.4", mined, tmp_path)
    assert {kind: before[kind] for kind in ("positive", "negative")} == {
        kind: after[kind] for kind in ("positive", "negative")}
    assert after["part"] and after["part"] < before["part"]
    for lines, near in ((after["part"], True), (before["part"] - after["part"], False)):
        for sample in map(samples.parse, lines):
            overlap = bx.iou(sample.crop[None].astype("f4"), bx.square(face_of(sample)))[0, 0]
            assert (overlap >= 0.4) == near


def test_labels_of_the_faces_themselves_are_what_a_plain_iou_gives(mined, tmp_path):
    before, after = changed("labels by the faces' own boxes", mined, tmp_path)
    assert before["negative"] == after["negative"] and len(after["positive"]) < len(before["positive"])
    for kind, low, high in (("positive", 0.65, 1.01), ("part", RNET.part_iou, 0.65)):
        assert after[kind]
        for line in after[kind]:
            sample = samples.parse(line)
            assert samples.kind_of(line) == kind
            assert low <= float(bx.iou(sample.crop[None].astype("f4"), face_of(sample))[0, 0]) < high


def test_invalid_faces_give_samples_in_their_images_alone(mined, tmp_path):
    before, after = changed("invalid faces as truth", mined, tmp_path)
    invalid = images_with_invalid_faces(mined)

    def on_invalid(lists, kind):
        crops = [samples.parse(line) for line in lists[kind] if samples.path_of(line) in invalid]
        return sum(bx.iou(crop.crop[None].astype("f4"), invalid[crop.path]).max() >= 0.65 for crop in crops)

    assert on_invalid(after, "positive") > on_invalid(before, "positive") == 0
    for kind in KINDS:
        for line in (before[kind] - after[kind]) + (after[kind] - before[kind]):
            assert samples.path_of(line) in invalid
    smallest = [min(bx.shorter_side(samples.parse(line).crop[None])[0] for line in lists["negative"])
                for lists in (before, after)]
    assert min(smallest) > MIN_FACE / 2       # mined as the others were


def test_lists_that_do_not_say_how_they_were_mined_are_refused(mined, tmp_path):
    args = Namespace(**{**vars(mined), "work": tmp_path / "work"})
    shutil.copytree(mined.work / "24", args.work / "24")
    (args.work / "24" / "mined.json").unlink()
    with pytest.raises(UserError, match="mined.json: does not say"):
        ablation_lists.write("invalid faces as truth", args, tmp_path / "out")


def test_every_event_gives_as_many_negatives(mined, tmp_path):
    before, after = changed("equal negatives per event", mined, tmp_path)
    assert {kind: before[kind] for kind in KINDS[:2]} == {kind: after[kind] for kind in KINDS[:2]}

    def events(lines):
        counts = Counter()
        for line, number in lines.items():
            counts[samples.path_of(line).rsplit("/", 1)[0]] += number
        return counts

    assert {*before["negative"]} >= {*after["negative"]}
    assert events(before["negative"]).keys() == events(after["negative"]).keys()
    assert len({*events(after["negative"]).values()}) == 1
    assert abs(after["negative"].total() - before["negative"].total()) <= len(events(before["negative"])) / 2


def test_with_replacement_the_number_of_samples_stays_and_over_a_third_are_missing(mined, tmp_path):
    before, after = changed("sampled with replacement", mined, tmp_path)
    for kind in KINDS:
        assert after[kind].total() == before[kind].total() and {*after[kind]} < {*before[kind]}
        assert 0.33 < 1 - len(after[kind]) / len(before[kind]) < 0.41      # 1/e where there are many


def test_lists_that_are_there_are_not_written_again(mined, tmp_path):
    changed("equal negatives per event", mined, tmp_path)
    seen = (tmp_path / "negative.txt").stat().st_mtime_ns
    changed("equal negatives per event", mined, tmp_path)
    assert (tmp_path / "negative.txt").stat().st_mtime_ns == seen
