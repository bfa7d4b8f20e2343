"""What a change of structure must leave alone: bytes of lists, records and weights, detections, AP, start, memory.

    python tests/freeze.py before.json                         # in the old checkout, or with --root OLD
    python tests/freeze.py after.json --compare before.json    # in the new one; exit code 1 where they differ

reads    with --data the WIDER FACE val images and evaluation files there, for the AP; else nothing
writes   FILE: name -> digest or number. Manifests are left out: they record settings and may change with FORMAT

The sample is rendered anew and goes through all thirteen steps with one seed and two epochs of each training. Start and
memory are the medians of five runs of test.py on one image; they are compared with a tolerance, all else exactly.
"""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
STEPS = (("preprocess/gen_12net_data.py",), ("preprocess/gen_landmark_aug.py", "12"),
         ("preprocess/gen_imglist_pnet.py",), ("preprocess/gen_tfrecords.py", "12"), ("train/train.py", "12"),
         ("preprocess/gen_hard_example.py", "12"), ("preprocess/gen_landmark_aug.py", "24"),
         ("preprocess/gen_tfrecords.py", "24"), ("train/train.py", "24"), ("preprocess/gen_hard_example.py", "24"),
         ("preprocess/gen_landmark_aug.py", "48"), ("preprocess/gen_tfrecords.py", "48"), ("train/train.py", "48"))
SAMPLE = ("--images", "150", "--landmark-images", "160", "--val-images", "40")
TOLERANCE = {"start s": 0.3, "peak MB": 0.1}      # share by which these may grow


def run(root, *command):
    """Runs one script of the checkout; ends this one where it fails."""
    done = subprocess.run([sys.executable, root / command[0], *map(str, command[1:])], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done


def digests(folder):
    """Relative name -> digest of each file below `folder`, manifests and logs of TensorBoard left out."""
    return {path.relative_to(folder).as_posix(): hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in {".txt", ".tfrecord", ".csv"}}


def arrays(path):
    """Digest of the arrays of a .npz file, whatever its bytes."""
    import numpy as np
    digest = hashlib.blake2b(digest_size=16)
    with np.load(path) as file:
        for name in sorted(file.files):
            digest.update(name.encode() + file[name].tobytes())
    return digest.hexdigest()


def pipeline(root, folder):
    """All steps on the sample -> digests of what they wrote."""
    data, work, model = folder / "data", folder / "work", folder / "model"
    run(root, "data/make_sample.py", "--out", data, *SAMPLE)
    where = ["--data", data, "--work", work, "--model", model]
    for name, *size in STEPS:
        extra = ["--epochs", 2, "--graph", folder / "graph"] if name == "train/train.py" else []
        run(root, name, *size, *where, *extra)
    return {**{f"work/{name}": value for name, value in digests(work).items()},
            **{f"model/{path.name}": arrays(path) for path in sorted(model.glob("*.npz"))}}


def detections(root, folder):
    """test.py on the checkout's own images -> digest of its JSON."""
    run(root, "test.py", "--no-draw", "--json", folder / "faces.json", "--output", folder / "out")
    return {"test.py --json": hashlib.blake2b((folder / "faces.json").read_bytes(), digest_size=16).hexdigest()}


def start_and_memory(root, folder):
    """test.py on one image: wall seconds of the process and its peak memory in MB, medians of five."""
    image, taken = root / "picture" / "astronaut.jpg", []
    for _ in range(5):
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, root / "test.py", image, "--no-draw", "--output", folder / "out"],
                                   stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"error: test.py ended with {status}")
        taken.append((time.perf_counter() - start, usage.ru_maxrss / 1000))
    seconds, memory = map(median, zip(*taken))
    return {"start s": round(seconds, 3), "peak MB": round(memory, 1)}


def precision(root, folder, script, data):
    """AP of the shipped weights on the WIDER FACE val images below `data`."""
    run(root, script, "--data", data, "--out", folder / "wider", "--json", folder / "wider.json")
    sets = json.loads((folder / "wider.json").read_text(encoding="utf-8"))["sets"]
    return {f"AP {name}": values["ap"] for name, values in sets.items()}


def compare(before, after):
    """Two freezes -> lines that say what differs; counts what is the same."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if name in TOLERANCE:
            if old is None or new is None or new > old * (1 + TOLERANCE[name]):
                lines.append(f"{name}: {old} -> {new}")
        elif old != new:
            lines.append(f"{name}: {old} -> {new}")
    print(f"{len(before.keys() | after.keys()) - len(lines)} of {len(before.keys() | after.keys())} entries agree")
    return lines


def main(args):
    folder = Path(tempfile.mkdtemp())
    try:
        frozen = {**pipeline(args.root, folder), **detections(args.root, folder)}
        if args.data:
            frozen.update(precision(args.root, folder, args.wider, args.data))
        frozen.update(start_and_memory(args.root, folder))
    finally:
        shutil.rmtree(folder)
    args.file.write_text(json.dumps(frozen, indent=1) + "\n", encoding="utf-8")
    print(f"{args.file}: {len(frozen)} entries; start {frozen['start s']} s, peak {frozen['peak MB']} MB")
    if args.compare:
        lines = compare(json.loads(args.compare.read_text(encoding="utf-8")), frozen)
        print("\n".join(lines))
        return bool(lines)
    return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE", help="for the digests and numbers")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier one; exit code 1 where they differ")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="checkout to freeze (default: this one)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="measure the AP on the WIDER FACE val images there")
    parser.add_argument("--wider", default="evaluate/wider.py", metavar="SCRIPT", help="the checkout's script for AP")
    sys.exit(main(parser.parse_args()))
