"""Promises about the project itself."""
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

LAYERS = ("detection", "pipeline", "preprocess", "train", "export", "evaluate", "experiments")   # each uses those before
FOLDERS = ("", *LAYERS, "data", "bench", "docs")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("**/*.py" if folder in LAYERS else "*.py"))


@pytest.mark.parametrize("folder", LAYERS)
def test_import_arrows_go_one_way(folder):
    forbidden = set(LAYERS[LAYERS.index(folder) + 1:])
    for path in (ROOT / folder).rglob("*.py"):
        used = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert not used & forbidden, path


def test_lines_fit():
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert len(line) <= 120, f"{path}:{number}"


def test_detecting_loads_no_tensorflow():
    code = "import sys, detection, preprocess.gen_12net_data; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_module_says_what_it_is():
    for path in SOURCES:
        assert path.read_text(encoding="utf-8").startswith('"""'), path


def test_readme_names_every_step_and_every_link_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in subprocess.run(["bash", "run.sh", "--list"], cwd=ROOT, capture_output=True, text=True,
                                  check=True).stdout.splitlines():
        script, size = re.match(r"\[\d+/14\] python (\S+)(?: (12|24|48))?", command).groups()
        assert f"python {script}{' ' + size if size else ''}`" in text, command
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_run_sh_refuses_what_it_does_not_know():
    for args in (["--from", "15"], ["--to", "x"], ["--from"], ["train"], ["--from", "9", "--to", "6"]):
        run = subprocess.run(["bash", "run.sh", *args], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 2 and "error: " in run.stderr, args


def test_a_set_up_that_was_cut_short_is_made_again(tmp_path):
    shutil.copy(ROOT / "run.sh", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)               # python, and no pip yet
    run = subprocess.run(["bash", "run.sh", "--from", "14"], cwd=tmp_path, capture_output=True, text=True)
    assert "pip" not in run.stderr and (tmp_path / ".venv" / "bin" / "pip").exists()


def test_shipped_pictures_are_found_by_the_shipped_weights(script, tmp_path):
    """The first thing a new user types."""
    import json
    script("test.py", "--output", tmp_path, "--json", tmp_path / "faces.json")
    found = json.loads((tmp_path / "faces.json").read_text())
    assert set(found) == {p.name for p in (ROOT / "picture").glob("*.jpg")}
    assert len(found["astronaut.jpg"]) == 1
    x1, y1, x2, y2 = found["astronaut.jpg"][0]["box"]
    assert 150 < x1 < 200 and 40 < y1 < 90 and 245 < x2 < 290 and 150 < y2 < 200
