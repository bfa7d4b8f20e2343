"""Lists, records and detections of this machine and of aarch64: the same? aarch64 runs in qemu, on Debian and x86-64.

    python tests/aarch64.py                              # some minutes, most of them emulated
    python tests/aarch64.py --folder DIR                 # keeps the emulated Python there for the next time

Sets up: qemu-user-static and arm64's Python 3.11 from Debian's packages, unpacked into a folder and installed nowhere,
and the packages of requirements-detect.txt for aarch64 from pip. Then both Pythons run steps 1 to 4 on a small rendered
sample and detect in picture/ with OpenCV. Good are equal digests of lists and records, boxes and landmarks within 0.01
px, scores within 0.0001: it ends with 0 if so, with 1 if not, and with 2 where Debian's packages or pip's are missing.
pytest does not run it.
"""
import argparse
import hashlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PACKAGES = ("libpython3.11-stdlib", "python3.11-minimal", "libstdc++6", "libgl1", "libglib2.0-0", "libsm6", "libxext6")
STEPS = (["preprocess/gen_12net_data.py"], ["preprocess/gen_landmark_aug.py", "12"], ["preprocess/gen_imglist_pnet.py"],
         ["preprocess/gen_tfrecords.py", "12"])
PIXELS, SCORE = 0.01, 0.0001


def run(*command, **how):
    subprocess.run([str(part) for part in command], check=True, **how)


def set_up(folder: Path) -> list[str]:
    """An aarch64 Python below `folder` -> the start of a command that runs it."""
    root, ready = folder / "root", folder / "ready"
    python = [str(folder / "qemu/usr/bin/qemu-aarch64-static"), "-L", str(root),
              "-E", f"PYTHONPATH={root / 'wheels'}", str(root / "usr/bin/python3.11")]
    if ready.exists():
        return python
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state/status").touch()
    settings = folder / "apt.conf"
    settings.write_text(f"""
        APT::Architecture "arm64";
        APT::Architectures {{ "arm64"; }};
        APT::Sandbox::User "root";
        Dir::State "{folder}/state";
        Dir::State::status "{folder}/state/status";
        Dir::Cache "{folder}/cache";
    """)
    arm64 = {**os.environ, "APT_CONFIG": str(settings)}
    run("apt-get", "update", "-qq", env=arm64)
    run("apt-get", "install", "-qq", "-y", "--download-only", "--no-install-recommends", *PACKAGES, env=arm64)
    run("apt-get", "download", "-qq", "qemu-user-static", cwd=folder)
    for package in (folder / "cache/archives").glob("*.deb"):
        run("dpkg-deb", "-x", package, root)
    run("dpkg-deb", "-x", *folder.glob("qemu-user-static*.deb"), folder / "qemu")
    run(sys.executable, "-m", "pip", "download", "-q", "-r", ROOT / "requirements-detect.txt", "--no-deps",
        "--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux_2_28_aarch64",
        "--platform", "manylinux_2_27_aarch64", "--platform", "manylinux2014_aarch64", "-d", folder / "downloads")
    for wheel in (folder / "downloads").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(root / "wheels")
    ready.touch()
    return python


def here(data: Path, work: Path) -> dict:
    """Runs the steps and detects, in this Python -> digests of files by name, faces of each image."""
    for script, *arguments in STEPS:
        sys.argv = [script, *arguments, "--data", str(data), "--work", str(work), "--workers", "1"]
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
    files = [path for path in sorted(work.rglob("*")) if path.is_file() and path.suffix != ".json"]
    from config import PICTURE
    from detection import Detector, images
    detector, faces = Detector(engine="opencv"), {}
    for path in sorted(PICTURE.glob("*.jpg")):
        found = detector.detect(images.read(path))
        faces[path.name] = [found.boxes.tolist(), found.scores.tolist(), found.landmarks.tolist()]
    return {"files": {str(path.relative_to(work)): hashlib.blake2b(path.read_bytes()).hexdigest() for path in files},
            "faces": faces}


def compare(ours: dict, theirs: dict) -> bool:
    """Prints what is the same -> whether all is."""
    import numpy as np
    names = ours["files"].keys() | theirs["files"].keys()
    different = sorted(name for name in names if ours["files"].get(name) != theirs["files"].get(name))
    print(f"{len(names)} lists and shards of records, {len(different)} different {' '.join(different)}")
    gaps, count, lost = np.zeros(3), 0, 0
    for name, mine in ours["faces"].items():
        other = theirs["faces"][name]
        count, lost = count + len(mine[1]), lost + (len(mine[1]) != len(other[1]))
        if mine[1] and len(mine[1]) == len(other[1]):
            gaps = np.maximum(gaps, [np.abs(np.subtract(a, b)).max() for a, b in zip(mine, other)])
    print(f"{count} faces in {len(ours['faces'])} images, {lost} images with another number; at most {gaps[0]:.2g} px "
          f"between boxes, {gaps[1]:.2g} between scores, {gaps[2]:.2g} px between landmarks")
    return bool(names) and not different and not lost and max(gaps[0], gaps[2]) < PIXELS and gaps[1] < SCORE


def main(args):
    if args.here:
        data, work, answer = map(Path, args.here)
        answer.write_text(json.dumps(here(data, work)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as parts:
        parts = Path(parts)
        folder = (args.folder or parts / "python").absolute()
        try:
            python = set_up(folder)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            print(f"skipped, nothing was compared: apt-get, dpkg-deb and pip set up the Python of aarch64 ({error})")
            return 2
        run(sys.executable, ROOT / "data/make_sample.py", "--out", parts / "data", "--images", 3, "--val-images", 1,
            "--landmark-images", 10)
        answers = []
        for name, command in (("x86-64", [sys.executable]), ("aarch64", python)):
            answer = parts / f"{name}.json"
            run(*command, __file__, "--here", parts / "data", parts / name, answer)
            answers.append(json.loads(answer.read_text(encoding="utf-8")))
    good = compare(*answers)
    print("the same" if good else "not the same")
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="of the emulated Python (default: a temporary one)")
    parser.add_argument("--here", nargs=3, help=argparse.SUPPRESS)
    sys.exit(main(parser.parse_args()))
