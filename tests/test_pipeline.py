"""All fourteen steps, in order, on drawn images: the cascade that comes out finds faces in others."""
import json

import pytest

from config import CASCADE
from detection import weights
from train import nets

SHORT = {12: (6, 384, 0.1), 24: (2, 192, 0.02), 48: (2, 192, 0.01)}    # epochs, batch size, learning rate


@pytest.fixture(scope="module")
def trained(sample, script, tmp_path_factory):
    """The folder in which all steps were run: model/ and lists."""
    work = tmp_path_factory.mktemp("pipeline")
    where = ["--data", sample, "--work", work, "--model", work / "model"]

    def train(size):
        epochs, batch, rate = SHORT[size]
        script("train/train.py", size, *where, "--graph", work / "graph", "--epochs", epochs, "--batch-size", batch,
               "--learning-rate", rate)

    script("preprocess/gen_12net_data.py", *where)
    script("preprocess/gen_landmark_aug.py", 12, *where)
    script("preprocess/gen_imglist_pnet.py", *where)
    script("preprocess/gen_tfrecords.py", 12, *where)
    train(12)
    for size in (24, 48):
        mined = script("preprocess/gen_hard_example.py", size // 2, *where).stdout
        assert "proposals per image" in mined and "recalled at IoU 0.65" in mined
        script("preprocess/gen_landmark_aug.py", size, *where)
        script("preprocess/gen_tfrecords.py", size, *where)
        train(size)
    return work


def recalls(script, sample, model, out):
    """Recall at IoU 0.5 of all faces after each net, as evaluate.py measures it on the validation scenes."""
    script("evaluate/recall.py", 48, "--data", sample, "--model", model, "--json", out)
    return [stage["rows"][0]["recall"]["0.5"] for stage in json.loads(out.read_text()).values()]


def test_the_trained_cascade_finds_what_untrained_nets_do_not(trained, sample, script, tmp_path):
    for stage in CASCADE:
        weights.write_arrays(tmp_path / f"{stage.name}.npz", nets.arrays(nets.build(stage, seed=1), stage))
    untrained = recalls(script, sample, tmp_path, tmp_path / "untrained.json")
    learned = recalls(script, sample, trained / "model", tmp_path / "learned.json")
    print(f"recall after P, R, O: untrained {untrained}, trained {learned}")
    assert untrained[-1] < 0.05
    assert learned[0] > 0.8 and learned[-1] > 0.3


def test_detections_are_drawn_and_written(trained, sample, script, tmp_path):
    images = sample / "WIDER_val" / "images"
    script("test.py", images, "--model", trained / "model", "--output", tmp_path / "out", "--json", tmp_path / "f.json")
    found = json.loads((tmp_path / "f.json").read_text())
    names = {str(p.relative_to(images)) for p in images.rglob("*.jpg")}
    assert found.keys() == names == {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.jpg")}
    faces = [face for picture in found.values() for face in picture]
    assert faces and all(len(f["box"]) == 4 and 0.7 <= f["score"] <= 1 and len(f["landmarks"]) == 5 for f in faces)


def test_fine_tuning_starts_from_the_trained_weights(trained, sample, script, tmp_path):
    out = script("train/train.py", 12, "--data", sample, "--work", trained, "--model", tmp_path, "--graph", tmp_path,
                 "--epochs", 1, "--learning-rate", 1e-6, "--init-from", trained / "model" / "pnet.npz").stdout
    accuracy = float(out.rsplit("validation_accuracy ", 1)[1].split()[0])
    assert accuracy > 0.85


def test_contact_sheet_shows_every_kind(trained, sample, script):
    import cv2
    for size in (12, 24, 48):
        script("preprocess/show_samples.py", size, "--data", sample, "--work", trained)
        assert cv2.imread(str(trained / str(size) / "samples.png")).shape[0] > 4 * (30 + 144)
