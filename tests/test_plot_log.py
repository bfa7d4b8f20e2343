"""The plot of trainings: which logs it finds, what a panel shows, what it refuses."""
import cv2
import pytest

from conftest import ROOT
from detection.errors import UserError
from train import plot_log

HEAD = "epoch,face,box,landmark,accuracy,validation_face,validation_box,validation_landmark,validation_accuracy\n"


def log(path, epochs, head=HEAD):
    path.parent.mkdir(parents=True)
    columns = head.count(",")
    path.write_text(head + "".join(f"{e}{',0.5' * columns}\n" for e in range(1, epochs + 1)))
    return path


def test_logs_below_a_folder_are_plotted(tmp_path, script):
    log(tmp_path / "12/train/log.csv", 3)
    log(tmp_path / "48/.train.parts/train/log.csv", 1)
    script("train/plot_log.py", "--work", tmp_path, "--out", tmp_path / "new/curves.png")
    height, width = cv2.imread(str(tmp_path / "new/curves.png")).shape[:2]
    assert width > height > 300


def test_the_log_of_a_running_training_comes_before_that_of_the_last_one(tmp_path):
    log(tmp_path / "24/train/log.csv", 3)
    running = log(tmp_path / "24/.train.parts/train/log.csv", 1)
    assert plot_log.find(tmp_path) == {"rnet": running}


def test_a_panel_shows_training_and_where_there_is_validation_that_too(tmp_path):
    both = plot_log.row("pnet", plot_log.read(log(tmp_path / "a/log.csv", 2)))
    alone = plot_log.row("pnet", plot_log.read(log(tmp_path / "b/log.csv", 2, "epoch,face,box,landmark,accuracy\n")))
    assert [list(panel[3]) for panel in both] == [["training", "validation"]] * 4
    assert [list(panel[3]) for panel in alone] == [["training"]] * 4
    assert both[0][3]["training"] == ([1, 2], [0.5, 0.5])


def test_a_net_without_landmarks_has_no_panel_for_them(tmp_path):
    head = "epoch,face,box,accuracy,validation_face,validation_box,validation_accuracy\n"
    panels = plot_log.row("pnet", plot_log.read(log(tmp_path / "a/log.csv", 2, head)))
    assert [panel[0] for panel in panels] == ["pnet: face loss", "pnet: box loss", "pnet: accuracy"]


@pytest.mark.parametrize("text", ["", "epoch,face\n1,2\n", HEAD, HEAD + "1,x\n", HEAD + "1,2\n"])
def test_a_file_that_is_no_log_is_a_user_error(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    for path in (tmp_path / "log.csv", tmp_path / "absent.csv"):
        with pytest.raises(UserError, match="log.csv|cannot be read"):
            plot_log.read(path)
    with pytest.raises(UserError):
        plot_log.find(tmp_path)


def test_the_logs_of_the_shipped_weights_are_logs():
    for size in (12, 24, 48):
        assert plot_log.read(ROOT / f"docs/logs/{size}.csv")["validation_accuracy"][-1] > 0.9
