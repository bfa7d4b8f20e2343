"""Kills every stage with SIGKILL at random moments, runs it again, and compares with an undisturbed run.

    python tests/kills.py                                # 210 kills, about half an hour on two free cores
    python tests/kills.py --kills 5 --stages training
    python tests/kills.py --kills 400 --busy 2           # beside two processes that take all they can get
    python tests/kills.py --help

Half of the kills hit all processes of the stage, half the main one alone, as the kernel does where memory is short; of
those, the others have to end by themselves. A row of the table is good when the files (hidden ones too) are the same
bytes as without kills, and nothing was done again or left over:

kills       that came while the stage was running
runs        to the end, after up to four kills in a row each, compared with the undisturbed one
different   runs whose files differ in one byte, are missing, or are too many (temporary files, locks)
redone      finished parts, shards or received bytes that a later run made again; checkpoints that went back
orphans     processes that outlived the main one by more than 5 s
"""
import argparse
import contextlib
import functools
import hashlib
import http.server
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from forks import Forks

ROOT = Path(__file__).resolve().parents[1]
IN_A_ROW = 4                # kills before a run may end
OFTEN = ("import runpy, sys, config; config.CHECKPOINT_SECONDS = 0.1; sys.argv = sys.argv[1:]; "
         "runpy.run_path(sys.argv[0], run_name='__main__')")      # a checkpoint every few batches
DOWNLOAD = ("import sys; sys.path.insert(0, 'data'); import argparse, pathlib, download, archives, transfer; "
            "transfer.CHUNK = 4096; "
            "download.main(argparse.Namespace(only=None, out=pathlib.Path(sys.argv[1]), keep=False),"
            " {'set': archives.Archive('set.zip', 'terms', (sys.argv[2],), '', None, None, {'SET': 300})})")


def run(*command):
    """Runs a command of the project to its end."""
    done = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


@dataclass
class Stage:
    """command: its arguments, FOLDER standing for the place it works in; before: a folder of what it starts from."""
    name: str
    command: list
    before: Path | None = None

    def arguments(self, folder):
        return [str(a).replace("FOLDER", str(folder)) for a in self.command]


def tree(folder):
    """Relative path -> digest of every file below, hidden ones included; TensorBoard's logs hold times, so not them."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and "graph" not in path.relative_to(folder).parts}


def finished(folder):
    """What must never be made again: finished part -> its time stamp; and how far counters that only grow have come."""
    parts = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and (
        re.fullmatch(r"\d{6}\.tsv|group-\d+\.json|\d+\.jpg", path.name))}
    for done in [path for path in parts if path.name.startswith("group-")]:
        parts |= {path: path.stat().st_mtime_ns for path in
                  done.parent.glob(f"records/*-{done.stem.removeprefix('group-')}-of-*.tfrecord")}
    reached = {path: position(path) for path in folder.rglob("checkpoint.npz")}
    reached |= {path: path.stat().st_size for path in folder.rglob("*.zip.part")}
    return parts, reached


def position(checkpoint):
    """(epoch, batch) of a checkpoint."""
    import json

    import numpy as np
    place = json.loads(str(np.load(checkpoint)["place"]))
    return place["epoch"], place["position"]


def redone(before, after):
    """How many finished things were made again."""
    return sum(after[0][path] != stamp for path, stamp in before[0].items() if path in after[0]) + \
        sum(after[1][path] < value for path, value in before[1].items() if path in after[1])


def session(number):
    """Process ids of a session that are not dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue
        if int(its_session) == number and state != "Z":
            found.append(int(path.parent.name))
    return found


def kill_after(process, after, alone):
    """Kills a process after some seconds, it `alone` or all that it started. Returns (exit code or None where it was
    killed, processes that outlived it)."""
    try:
        return process.wait(after), 0
    except subprocess.TimeoutExpired:
        pass
    os.kill(process.pid, signal.SIGKILL) if alone else os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 5
    while (left := session(process.pid)) and time.monotonic() < end:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return None, len(left)


def torment(stage, kills, rng, base, forks):
    """Kills one stage so often; returns a row of the table."""
    def fresh(name):
        shutil.rmtree(base / name, ignore_errors=True)
        shutil.copytree(stage.before, base / name) if stage.before else (base / name).mkdir()
        return base / name
    whole = fresh("whole")
    began = time.monotonic()
    undisturbed = forks.run(stage.arguments(whole), ROOT, base / "log", timeout=600)
    if undisturbed.returncode:
        raise SystemExit(f"{stage.name} ended with {undisturbed.returncode}: {undisturbed.stderr}")
    span, wanted, row = time.monotonic() - began, tree(whole), Counter()
    while row["kills"] < kills:
        folder, before = fresh("killed"), ({}, {})
        for number in range(IN_A_ROW + 1):
            after = rng.uniform(0.1, 1) * span if number < IN_A_ROW and row["kills"] < kills else 600
            started = time.monotonic()
            process = forks.start(stage.arguments(folder), ROOT, base / "log")
            code, left = kill_after(process, after, rng.random() < 0.5)
            if code is not None and number == 0:
                span = min(span, time.monotonic() - started)      # the first run was cold
            now = finished(folder)
            row["redone"] += redone(before, now)
            before = now
            row["orphans"] += left
            if code is not None:
                break
            row["kills"] += 1
        row["runs"] += 1
        row["failed"] += code != 0
        row["different"] += tree(folder) != wanted
        if code != 0 or tree(folder) != wanted:
            print(stage.name, tree(folder).keys() ^ wanted.keys(), process.stderr[-2000:])
    row["seconds"] = round(time.monotonic() - began)
    return row


class Slow(http.server.SimpleHTTPRequestHandler):
    """Serves a folder on 127.0.0.1, slowly, and goes on in the middle where it is asked to."""
    def do_GET(self):
        content = (Path(self.directory) / self.path.strip("/")).read_bytes()
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        try:
            for i in range(start, len(content), 1 << 15):
                self.wfile.write(content[i:i + (1 << 15)])
                time.sleep(0.02)
        except ConnectionError:
            pass

    def log_message(self, *_):
        pass


def serve(folder):
    """Serves an archive of 300 files; returns its address."""
    rng = random.Random(0)
    with zipfile.ZipFile(folder / "set.zip", "w") as zipped:
        for i in range(300):
            zipped.writestr(f"SET/{i}.jpg", rng.randbytes(5000))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Slow, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/set.zip"


def stages(base, chosen, images=200, data=None, ready=None, epochs=6):
    """Yields the chosen stages, each with what it starts from made first. data: a sample; ready: a folder in which the
    four steps before P-Net's training were run on it; both are made here where they are not given. epochs: of a
    training."""
    if not data and chosen - {"export", "download"}:
        data = base / "sample"
        run("data/make_sample.py", "--out", data, "--images", images, "--landmark-images", images, "--val-images", 1)
    where = ["--data", data, "--workers", 2]
    work = [*where, "--work", "FOLDER"]
    yield Stage("sampling", ["preprocess/gen_12net_data.py", *work])
    yield Stage("landmarks", ["preprocess/gen_landmark_aug.py", 12, *work])
    yield Stage("mining", ["preprocess/gen_hard_example.py", 12, *work, "--min-face", 60])
    if chosen & {"records", "training", "checkpoints"}:
        if not ready:
            ready = base / "ready"
            for name, *size in (("gen_12net_data.py",), ("gen_landmark_aug.py", 12), ("gen_imglist_pnet.py",),
                                ("gen_tfrecords.py", 12)):
                run(f"preprocess/{name}", *size, *where, "--work", ready)
        lists = shutil.copytree(ready, base / "lists", ignore=shutil.ignore_patterns("records", "records.json"))
        yield Stage("records", ["preprocess/gen_tfrecords.py", 12, *work], lists)
        train = ["train/train.py", 12, *work, "--model", "FOLDER/model", "--graph", "FOLDER/graph", "--epochs",
                 epochs]
        yield Stage("training", train, ready)
        yield Stage("checkpoints", ["-c", OFTEN, *train], ready)
    yield Stage("export", ["export/export.py", "onnx", "--out", "FOLDER", "--images", ROOT / "picture" / "tesla.jpg"])
    if "download" in chosen:
        (base / "home").mkdir()
        yield Stage("download", ["-c", DOWNLOAD, "FOLDER", serve(base / "home")])


NAMES = ("sampling", "landmarks", "mining", "records", "training", "checkpoints", "export", "download")
COLUMNS = ("kills", "runs", "failed", "different", "redone", "orphans", "seconds")


@contextlib.contextmanager
def busy(number):
    """That many processes which only take processor time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main(kills, chosen=NAMES, forks=None, seed=0, **start):
    """Prints the table as it grows; returns the sums of its columns. forks: starts the stages, one of its own where it
    is not given; start: what stages() starts from."""
    if forks is None:
        forks = Forks("cv2", "tqdm", "tensorflow")
        try:
            return main(kills, chosen, forks, seed, **start)
        finally:
            forks.close()
    rng, sums, share = random.Random(seed), Counter(), -(-kills // len(chosen))
    print(f"| stage | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}", flush=True)
    os.environ["no_proxy"] = "127.0.0.1"
    with tempfile.TemporaryDirectory() as base:
        for stage in stages(Path(base), set(chosen), **start):
            if stage.name in chosen:
                place = Path(base) / stage.name
                place.mkdir()
                row = torment(stage, share, rng, place, forks)
                sums.update(row)
                print(f"| {stage.name} | {' | '.join(str(row[name]) for name in COLUMNS)} |", flush=True)
    print(f"| all | {' | '.join(str(sums[name]) for name in COLUMNS)} |")
    return sums


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=208, metavar="N", help="in all (default: 208)")
    parser.add_argument("--stages", nargs="+", choices=NAMES, default=list(NAMES), metavar="STAGE",
                        help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="of the drawn sample (default: 200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (default: 0)")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes beside them that only take "
                        "processor time (default: 0)")
    args = parser.parse_args()
    with busy(args.busy):
        result = main(args.kills, args.stages, seed=args.seed, images=args.images)
    sys.exit(bool(result["failed"] or result["different"] or result["redone"] or result["orphans"]))
