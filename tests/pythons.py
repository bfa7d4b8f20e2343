"""Lists, records and detections of this Python and of another one: the same? On Debian and x86-64.

    python tests/pythons.py aarch64                      # in qemu: some minutes, most of them emulated
    python tests/pythons.py 3.14                         # a minute, most of it downloads
    python tests/pythons.py aarch64 --folder DIR         # keeps the other Python there for the next time

Sets up: the other Python from Debian's packages, unpacked into a folder and installed nowhere, and for it the packages
of requirements-detect.txt from pip. Then both Pythons run steps 1 to 4 on a small rendered sample and detect in
picture/. Good are equal digests of lists and records, boxes and landmarks within 0.01 px, scores within 0.0001: it ends
with 0 if so, with 1 if not, and with 2 where Debian's packages or pip's are missing. pytest does not run it.
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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


@dataclass(frozen=True)
class Other:
    """A Python of Debian's packages: its version, Debian's release ("" for this machine's) and architecture, the same
    as Linux names it, the engines that detect in both Pythons."""
    version: str
    release: str
    architecture: str
    machine: str
    engines: tuple[str, ...]


OTHERS = {"aarch64": Other("3.11", "", "arm64", "aarch64", ("opencv",)),
          "3.13": Other("3.13", "trixie", "amd64", "x86_64", ("litert", "opencv")),
          "3.14": Other("3.14", "forky", "amd64", "x86_64", ("litert", "opencv"))}
LIBRARIES = "libstdc++6", "libgl1", "libglib2.0-0", "libsm6", "libxext6"      # that OpenCV's wheel needs
STEPS = (["preprocess/gen_12net_data.py"], ["preprocess/gen_landmark_aug.py", "12"], ["preprocess/gen_imglist_pnet.py"],
         ["preprocess/gen_tfrecords.py", "12"])
PIXELS, SCORE = 0.01, 0.0001


def run(*command, **how):
    subprocess.run([str(part) for part in command], check=True, **how)


def mirror() -> str:
    """Where this machine has Debian's packages from. FileNotFoundError where it is not Debian."""
    found = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
                            "Origin: Debian", "Label: Debian"], capture_output=True, text=True, check=True).stdout
    if not found:
        raise FileNotFoundError("no source of Debian's packages in apt's settings; `apt-get update` reads them")
    return found.splitlines()[0]


def set_up(folder: Path, other: Other) -> list[str]:
    """The other Python below `folder` -> the start of a command that runs it."""
    root, tools, ready = folder / "root", folder / "tools", folder / "ready"
    python, emulated = root / f"usr/bin/python{other.version}", other.machine != "x86_64"
    command = ["env", f"PYTHONPATH={root / 'wheels'}", str(python)]
    if emulated:
        command = [str(tools / f"usr/bin/qemu-{other.machine}-static"), "-L", str(root), "-E", *command[1:]]
    if ready.exists():
        return command
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state/status").touch()
    settings = folder / "apt.conf"
    settings.write_text(f"""
        APT::Architecture "{other.architecture}";
        APT::Architectures {{ "{other.architecture}"; }};
        APT::Sandbox::User "root";
        Dir::State "{folder}/state";
        Dir::State::status "{folder}/state/status";
        Dir::Cache "{folder}/cache";
    """)
    if other.release:
        sources = folder / "sources.list"
        sources.write_text("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                           f"{mirror()} {other.release} main\n")
        with open(settings, "a") as file:
            file.write(f'Dir::Etc::sourcelist "{sources}"; Dir::Etc::sourceparts "-";\n')
    apt = {**os.environ, "APT_CONFIG": str(settings)}
    run("apt-get", "update", "-qq", env=apt)
    run("apt-get", "install", "-qq", "-y", "--download-only", "--no-install-recommends", *LIBRARIES,
        f"libpython{other.version}-stdlib", f"python{other.version}-minimal", env=apt)
    for package in (folder / "cache/archives").glob("*.deb"):
        run("dpkg-deb", "-x", package, root)
    run("apt-get", "download", "-qq", "qemu-user-static" if emulated else "patchelf", cwd=folder)
    run("dpkg-deb", "-x", *folder.glob("*.deb"), tools)
    if not emulated:            # another release has another C library, which only this Python may load
        libraries = root / "usr/lib/x86_64-linux-gnu"
        run(tools / "usr/bin/patchelf", "--set-interpreter", libraries / "ld-linux-x86-64.so.2", "--force-rpath",
            "--set-rpath", libraries, python)
    platforms = [f"--platform=manylinux{glibc}_{other.machine}" for glibc in ("_2_28", "_2_27", "2014")]
    run(sys.executable, "-m", "pip", "download", "-q", "-r", ROOT / "requirements-detect.txt", "--no-deps",
        "--only-binary=:all:", "--python-version", other.version, *platforms, "-d", folder / "downloads")
    for wheel in (folder / "downloads").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(root / "wheels")
    ready.touch()
    return command


def here(data: Path, work: Path, engines: tuple[str, ...]) -> dict:
    """Runs the steps and detects, in this Python -> digests of files by name, faces of each engine and image."""
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
    faces = {}
    for engine in engines:
        with Detector(engine=engine) as detector:
            for path in sorted(PICTURE.glob("*.jpg")):
                found = detector.detect(images.read(path))
                faces[f"{engine} {path.name}"] = [found.boxes.tolist(), found.scores.tolist(), found.landmarks.tolist()]
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
    print(f"{count} faces in {len(ours['faces'])} detections, {lost} of them with another number of faces; at most "
          f"{gaps[0]:.2g} px between boxes, {gaps[1]:.2g} between scores, {gaps[2]:.2g} px between landmarks")
    return bool(names) and not different and not lost and max(gaps[0], gaps[2]) < PIXELS and gaps[1] < SCORE


def main(args):
    other = OTHERS[args.other]
    if args.here:
        data, work, answer = map(Path, args.here)
        answer.write_text(json.dumps(here(data, work, other.engines)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as parts:
        parts = Path(parts)
        folder = (args.folder or parts / "python").absolute()
        try:
            command = set_up(folder, other)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            print(f"skipped, nothing was compared: apt-get, dpkg-deb and pip set up the other Python ({error})")
            return 2
        run(sys.executable, ROOT / "data/make_sample.py", "--out", parts / "data", "--images", 3, "--val-images", 1,
            "--landmark-images", 10)
        answers = []
        for name, python in (("this", [sys.executable]), (args.other, command)):
            answer = parts / f"{name}.json"
            run(*python, __file__, args.other, "--here", parts / "data", parts / name, answer)
            answers.append(json.loads(answer.read_text(encoding="utf-8")))
    good = compare(*answers)
    print("the same" if good else "not the same")
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", choices=OTHERS)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="of the other Python (default: a temporary one)")
    parser.add_argument("--here", nargs=3, help=argparse.SUPPRESS)
    sys.exit(main(parser.parse_args()))
