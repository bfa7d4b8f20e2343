"""Promises about the project itself."""
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

LAYERS = ("detection", "pipeline", "preprocess", "train", "export", "evaluate", "experiments")  # each uses those before


@pytest.mark.parametrize("folder", LAYERS)
def test_import_arrows_go_one_way(folder):
    forbidden = set(LAYERS[LAYERS.index(folder) + 1:])
    for path in (ROOT / folder).rglob("*.py"):
        used = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert not used & forbidden, path


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache"], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout


def test_detecting_loads_no_tensorflow():
    code = "import sys, detection, preprocess.gen_12net_data; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_changelog_has_the_code_and_the_weights_that_are_here():
    import hashlib
    import tomllib
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(r"^## Code (\S+),", text, re.MULTILINE)[1] == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for path in (ROOT / "model").glob("*.npz"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"{digest}  model/{path.name}" in text, f"{path.name} changed: name the new weights in CHANGELOG.md"


def test_readme_names_every_step_and_every_link_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in subprocess.run(["bash", "run.sh", "--list"], cwd=ROOT, capture_output=True, text=True,
                                  check=True).stdout.splitlines():
        script, size = re.match(r"\[\d+/14\] python (\S+)(?: (12|24|48))?", command).groups()
        assert f"python {script}{' ' + size if size else ''}`" in text, command
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_run_sh_puts_a_last_round_before_detection():
    """The lists of the round have a folder of their own, and so have its weights, which detection takes."""
    def steps(*args):
        said = subprocess.run(["bash", "run.sh", "--list", "--data", "d", *args], cwd=ROOT, capture_output=True,
                              text=True, check=True).stdout
        return [re.sub(r"^\[\d+/\d+\] python ", "", line) for line in said.splitlines()]

    plain, longer = steps(), steps("--last-round")
    assert longer[:13] == plain[:13] and len(longer) == 18
    assert [line.split()[0] for line in longer[13:]] == [
        "preprocess/gen_hard_example.py", "preprocess/gen_landmark_aug.py", "preprocess/gen_tfrecords.py",
        "train/train.py", "test.py"]
    assert all("--work d/last" in line for line in longer[13:17])
    assert "--init-from model/onet.npz --model model/last" in longer[16] and "--model model/last" in longer[17]


@pytest.mark.parametrize("folder, data", [("WIDER_train", "data"), ("sets/own", "data"), ("sets", "data/sample")])
def test_run_sh_takes_the_images_in_data(tmp_path, folder, data):
    shutil.copy(ROOT / "run.sh", tmp_path)
    (tmp_path / "data" / folder).mkdir(parents=True)
    said = subprocess.run(["bash", "run.sh", "--list"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f"gen_12net_data.py --data {data} --work" in said


def test_run_sh_refuses_what_it_does_not_know():
    for args in (["--from", "15"], ["--to", "x"], ["--from"], ["train"], ["--from", "9", "--to", "6"],
                 ["--from", "9" * 20], ["--list", "--model", "--no-landmarks"], ["--list", "--data", ""]):
        run = subprocess.run(["bash", "run.sh", *args], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 2 and run.stderr.startswith("error: "), args


@pytest.mark.parametrize("configured", [False, True], ids=["at its start", "before pip"])
def test_a_set_up_that_was_cut_short_is_made_again(tmp_path, configured):
    shutil.copy(ROOT / "run.sh", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    if configured:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    else:
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    run = subprocess.run(["bash", "run.sh", "--from", "14"], cwd=tmp_path, capture_output=True, text=True)
    assert "pip" not in run.stderr and (tmp_path / ".venv" / "bin" / "pip").exists(), run.stderr


@pytest.fixture
def fresh(tmp_path):
    """A checkout with run.sh alone, and a folder as the only one on PATH: (stand_in(name, version), run(PYTHON))."""
    checkout, path = tmp_path / "checkout", tmp_path / "bin"
    checkout.mkdir()
    path.mkdir()
    for name in ("bash", "cat", "chmod", "cksum", "cut", "dirname", "mkdir", "sh", "sed", "touch"):
        (path / name).symlink_to(shutil.which(name))
    shutil.copy(ROOT / "run.sh", checkout)
    (checkout / "requirements-test.txt").write_text("")

    def stand_in(name, version, venv=True, place=path):
        """A Python that says its version where it is asked, makes environments of itself, and notes its other calls."""
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"""#!/bin/sh
            case "$1 $2" in
              -c*) {f"echo {version}" if venv else "exit 1"} ;;
              "-m venv") mkdir -p .venv/bin; cat "$0" > .venv/bin/python; echo exit > .venv/bin/pip
                         chmod +x .venv/bin/* ;;
              *) echo "{version} runs $*" ;;
            esac""")
        (place / name).chmod(0o755)

    def run(python=None):
        environment = {"PATH": str(path), **({"PYTHON": str(python)} if python else {})}
        return subprocess.run(["bash", "run.sh", "test"], cwd=checkout, env=environment, capture_output=True, text=True)
    return stand_in, run, checkout


@pytest.mark.parametrize("installed, chosen", [
    ({"python3.13": "3.13", "python3.11": "3.11", "python3": "3.9"}, "3.13"),
    ({"python3.12": "3.12", "python3.11": "3.11", "python3": "3.14"}, "3.12"),
    ({"python3": "3.11"}, "3.11"),
    ({"python3.13": "", "python3": "3.12"}, "3.12")])                  # as pyenv's links are: on PATH, and do not run
def test_run_sh_takes_the_newest_python_that_the_packages_are_built_for(fresh, installed, chosen):
    stand_in, run, _ = fresh
    for name, version in installed.items():
        stand_in(name, version, venv=bool(version))
    done = run()
    assert done.returncode == 0 and f"{chosen} runs -m pytest" in done.stdout, done


@pytest.mark.parametrize("installed", [{}, {"python3": "3.10"}, {"python3": "3.14", "python": "3.12"}])
def test_run_sh_says_what_to_install_where_no_python_fits(fresh, installed):
    stand_in, run, checkout = fresh
    for name, version in installed.items():
        stand_in(name, version)
    done = run()
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not (checkout / ".venv").exists()
    assert done.stderr.startswith("error: no Python 3.11 to 3.13 with venv was found; install one")


def test_run_sh_takes_the_python_it_is_given_and_checks_it(fresh, tmp_path):
    stand_in, run, checkout = fresh
    stand_in("python3.13", "3.13")
    for name, version, venv in (("good one", "3.11", True), ("old", "3.10", True), ("bare", "3.12", False)):
        stand_in(name, version, venv, tmp_path / "elsewhere")
    for name in ("old", "bare", "absent"):
        done = run(tmp_path / "elsewhere" / name)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not (checkout / ".venv").exists(), done
        assert done.stderr.startswith(f"error: PYTHON={tmp_path}/elsewhere/{name} is not a Python 3.11 to 3.13")
    assert "3.11 runs -m pytest" in run(tmp_path / "elsewhere" / "good one").stdout


def test_run_sh_keeps_a_fitting_environment_and_names_one_that_does_not_fit(fresh):
    stand_in, run, checkout = fresh
    stand_in("python3.13", "3.13")
    for name in ("python", "pip"):
        stand_in(name, "3.12", place=checkout / ".venv/bin")
    assert "3.12 runs -m pytest" in run().stdout
    stand_in("python", "3.10", place=checkout / ".venv/bin")
    done = run()
    assert done.returncode == 2 and done.stderr == ("error: .venv holds no Python 3.11 to 3.13; remove it and run this "
                                                    "again\n")


def test_shipped_pictures_are_found_by_the_shipped_weights(script, tmp_path):
    """The first thing a new user types."""
    import json
    script("test.py", "--output", tmp_path, "--json", tmp_path / "faces.json")
    found = json.loads((tmp_path / "faces.json").read_text())
    assert set(found) == {p.name for p in (ROOT / "picture").glob("*.jpg")}
    assert len(found["astronaut.jpg"]) == 1
    x1, y1, x2, y2 = found["astronaut.jpg"][0]["box"]
    assert 150 < x1 < 200 and 40 < y1 < 90 and 245 < x2 < 290 and 150 < y2 < 200


def test_the_lists_of_images_agree_and_no_val_image_was_trained_on():
    """WIDER FACE numbers the images of an event; an image of train and one of val never share a name."""
    train, development, first = ((ROOT / "model/images" / f"wider_{name}.txt").read_text().splitlines()
                                 for name in ("train", "val_development", "val_162"))
    for names in (train, development, first):
        assert names == sorted(set(names)) and all(re.fullmatch(r"[\w-]+/[\w-]+\.jpg", name) for name in names)
    assert set(first) < set(development) and not set(development) & set(train)
    assert len(train) == 2518 and len(development) == 1130 and len(first) == 162
