"""Feeds damaged files to every reader: each must be taken, or refused with a UserError (or ValueError, where said).

    python tests/fuzz.py                                        # 100,000 inputs
    python tests/fuzz.py --inputs 5000 --targets coco image
    python tests/fuzz.py --targets one_line --guided --inputs 100000      # guided by coverage; pip install atheris

An input is a good file with random changes: bits, bytes, cuts, repeats, parts of other files, and numbers and letters
that parsers fear. A row of the table is good when `crashes` is 0; a failing input is kept in --keep. slowest: seconds
for one input, of which more than LIMIT_SECONDS counts as a crash; memory: MB that the process grew by over the target.
"""
import argparse
import contextlib
import faulthandler
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "data")]
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(1 << 22)      # so that the bound of memory is a small one

from detection.quiet import quiet

LIMIT_SECONDS = 10
LIMIT_MB = 400
FEARED = [b"nan", b"-inf", b"1e308", b"-1", b"0", b"99999999999999999999", b"1" * 5000, b"\0", b"\xef\xbb\xbf", b"\r\n",
          b"\t", b"\n", b"..", b"../", b"\\", b"/", b" ", b"\xff\xfe", "游行".encode(), "²".encode(),
          b"\xe2\x80\xa8", b"%s",
          b"{}", b"[]", b"null", b"true", b'"', b"<!DOCTYPE", b"&a;", b"<a>", b"[" * 2000, b"\xff" * 8, bytes(64)]


def mutate(rng, seeds):
    """One good file -> a damaged one."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 12))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(8):
            case 0 if data:
                data[at - 1] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at - 1] = rng.randrange(256)
            case 2:
                del data[at:]
            case 3:
                del data[at:at + rng.randrange(1, 40)]
            case 4:
                data[at:at] = rng.choice(FEARED)
            case 5:
                piece = rng.choice(FEARED)
                data[at:at + len(piece)] = piece
            case 6:
                data[at:at] = data[at:at + rng.randrange(1, 200)] * rng.choice((1, 2, 50))
            case 7:
                other = rng.choice(seeds)
                start = rng.randrange(len(other) + 1)
                data[at:at + rng.randrange(100)] = other[start:start + rng.randrange(200)]
    return bytes(data)


OFFICIAL = "".join(f"0--Parade/a {i}.jpg\n2\n10 20 30 40 0 0 0 0 0 0\n1.5 2.5 3 4 2 0 0 1 0 0\n" for i in range(3)) + \
    "1--Other/游行.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"


class Targets:
    """name() -> (good files, function that reads one damaged file's bytes), by getattr. Works in `folder`."""

    def __init__(self, folder):
        import cv2
        import numpy as np

        from detection import weights
        from preprocess import samples
        from preprocess.labels import landmarks, sets, wider
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.folder, self.cv2, self.np = folder, cv2, np
        self.wider, self.landmark_lists, self.sets = wider, landmarks, sets
        self.samples, self.weights = samples, weights
        image = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
        self.image_bytes = [cv2.imencode(extension, image)[1].tobytes()
                            for extension in (".jpg", ".png", ".bmp", ".webp", ".tif")]

    def _file(self, name, read):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)

        def target(data):
            path.write_bytes(data)
            return read(path)
        return target

    @staticmethod
    def _points():
        from pipeline import settings
        return {"depends": {"settings": settings.of_config("POINTS", "MIRROR_ORDER")}}

    def official(self):
        return [OFFICIAL.encode()], self._file("list.txt", lambda path: self.wider.read(path, "i"))

    def one_line(self):
        seeds = [b"0--Parade/a b 1 2 31 42 5 5 9 9\n0--Parade/none\n" * 2]
        return seeds, self._file("list.txt", lambda path: self.wider.read(path, "i"))

    def landmarks(self):
        line = b"lfw_5590\\x%d.jpg 84 161 92 169 106 107 146 112 125 142 105 157 139 161\n"
        return [line % 1 + line % 2], self._file("list.txt", self.landmark_lists.read)

    def mtfl(self):
        line = b"AFLW/%d.jpg 1 2 3 4 5 6 7 8 9 10 1 1 2 3\n"
        return [line % 1 + line % 2], self._file("list.txt", self.landmark_lists.read_mtfl)

    def sample_line(self):
        np = self.np
        lines = self.samples.lines("e v/図 1.jpg", np.int64([[1, 2, 13, 14], [-5, 2, 9, 16]]), [1, -2],
                                   np.float32([[.1, .2, -.3, .4]] * 2), np.float32([range(10)] * 2) / 10)

        def target(data):
            line = data.decode("utf-8", "replace")
            try:
                sample = self.samples.parse(line)
            except ValueError:
                return
            assert self.samples.kind_of(line) and ".." not in sample.path.split("/") and sample.crop.shape == (4,)
        return [line.encode() for line in lines], target

    def _set(self, name, good):
        folder = self.folder / name.split(".")[0].replace("/", "-")
        images = folder / "sets" / "one" / "images"
        images.mkdir(parents=True)
        (images / "a.png").write_bytes(self.image_bytes[1])
        place = folder / "sets" / "one" / name
        if place.name == "set.json":
            (folder / "sets" / "one" / "annotations.txt").write_text("a.png\n1\n5 5 9 9 0 0 0 0 0 0\n")
        place.parent.mkdir(exist_ok=True)

        def target(data):
            place.write_bytes(data)
            for image in self.sets.training(folder)[0]:
                assert (folder / image.path).resolve().is_relative_to(folder) and self.np.isfinite(image.boxes).all()
        return [good.encode()], target

    def voc(self):
        return self._set("annotations/a.xml", "<annotation><object><name>face</name><difficult>0</difficult><bndbox>"
                         "<xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>22</ymax></bndbox></object></annotation>")

    def yolo(self):
        return self._set("labels/a.txt", "0 0.5 0.5 0.4 0.4\n1 0.2 0.2 0.1 0.1\n")

    def coco(self):
        return self._set("annotations.json", json.dumps({
            "images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 0, "name": "face"}],
            "annotations": [{"image_id": 1, "category_id": 0, "bbox": [1, 2, 9, 9], "iscrowd": 0}]}))

    def set_json(self):
        return self._set("set.json", '{"complete": false, "classes": ["face", "head"]}')

    def image(self):
        from detection import images
        return self.image_bytes, self._file("a.jpg", lambda path: images.check(images.read(path)))

    def npz(self):
        from config import PNET
        buffer = io.BytesIO()
        self.np.savez(buffer, **{n: self.np.zeros(s, "f4") for n, s in self.weights.shapes(PNET).items()})
        stored = (ROOT / "model" / "pnet.npz").read_bytes()
        return [buffer.getvalue(), stored], self._file("pnet.npz", lambda path: self.weights.read(path, PNET))

    def manifest(self):
        from pipeline import step
        from preprocess import records
        good = {**self._points(), "outputs": {"records/a": 1}, "report": {"size": 12, "counts": {}, "shards": {}}}

        def read(path):
            step.Step(path.parent, "records", {}, {}, {}).report()
            records.Records(path.parent, 12)
        return [json.dumps(good).encode()], self._file("records.json", read)

    def records(self):
        from pipeline.step import write_json
        from preprocess import records, tfrecord
        np, shard = self.np, self.folder / "records" / "a"
        tfrecord.write(shard, [tfrecord.encode(np.zeros((12, 12, 3), np.uint8), 1, np.zeros(4), np.zeros(10))] * 3)
        write_json(self.folder / "records.json", {**self._points(), "outputs": {}, "report": {
            "size": 12, "counts": {"imglist-train": 3}, "shards": {"imglist-train": ["a"]}}})
        stored = records.Records(self.folder, 12)

        def read(path):
            with stored.named_errors():
                for batch in records.tf.data.TFRecordDataset(str(path)).batch(4):
                    assert records.decode(batch, 12)[0].shape[1:] == (12, 12, 3)
        return [shard.read_bytes()], self._file("records/a", read)

    def zip(self):
        from transfer import Problem
        from unpack import unpack
        buffer, out = io.BytesIO(), self.folder / "out"
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
            for i in range(3):
                zipped.writestr(f"SET/{i}.jpg", bytes(range(256)) * 3)

        def read(path):
            try:
                unpack(path, out, ("SET",))
            except Problem:
                pass
            for left in [p for p in self.folder.rglob("*") if p.is_file() and p != path]:
                assert left.is_relative_to(out / "SET"), left
                left.unlink()
        return [buffer.getvalue()], self._file("a.zip", read)

    def array(self):
        """Arrays of any type and shape: refused with ValueError, or detected in."""
        from detection import Detector
        detector, np = Detector(min_face_size=12), self.np
        kinds = [np.uint8, np.uint8, np.uint8, np.int8, np.float32, np.float64, np.uint16, bool, np.complex64, "S1"]

        def target(data):
            rng = random.Random(data)
            axes = rng.choice((0, 1, 2, 3, 3, 3, 3, 4))
            shape = [rng.choice((0, 1, 2, 3, 3, 4, 11, 12, 13, 40)) for _ in range(axes)]
            if shape[2:] and rng.random() < 0.6:
                shape[2] = 3
            count = int(np.prod(shape))
            image = np.frombuffer((data * (count // max(len(data), 1) + 1) + bytes(count))[:count], np.uint8)
            image = image.reshape(shape).astype(rng.choice(kinds))
            image = image[::rng.choice((1, -1, 2))] if image.ndim else image
            try:
                faces = detector.detect(image)
            except ValueError:
                assert image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size
                return
            assert np.isfinite(faces.boxes).all() and faces.landmarks.shape == (len(faces), 5, 2)
        return self.image_bytes, target


NAMES = [name for name in vars(Targets) if not name.startswith("_")]


@contextlib.contextmanager
def silence():
    """Neither Python nor the libraries below it write anything."""
    sys.stdout.flush()
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        yield


def late(*_):
    raise TimeoutError(f"more than {LIMIT_SECONDS} s")


def allowed(target, data):
    """Reads one input; returns what went wrong, or None."""
    from detection import UserError
    signal.alarm(LIMIT_SECONDS)
    try:
        target(data)
    except UserError as error:
        return None if "\n" not in str(error) else f"more than one line: {error}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)


def held():
    """MB at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(inputs, names=NAMES, seed=0, keep=None):
    """Prints the table; returns the number of crashes."""
    signal.signal(signal.SIGALRM, late)
    print("| target | inputs | crashes | slowest s | memory MB | seconds |\n|---|---:|---:|---:|---:|---:|", flush=True)
    crashes = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            seeds, target = getattr(Targets(Path(folder).resolve()), name)()
            rng, slowest, failed, shown = random.Random(f"{seed}/{name}"), 0.0, 0, None
            with silence():
                for good in seeds:
                    shown = shown or allowed(target, good)
                before, began = held(), time.monotonic()
                for number in range(-(-inputs // len(names))):
                    data, start = mutate(rng, seeds), time.monotonic()
                    if number % 100 == 0:       # a hang below Python, which no alarm ends
                        faulthandler.dump_traceback_later(100 * LIMIT_SECONDS, exit=True, file=sys.__stderr__)
                    problem = allowed(target, data)
                    slowest = max(slowest, time.monotonic() - start)
                    if problem:
                        failed, shown = failed + 1, shown or problem
                        if keep:
                            keep.mkdir(parents=True, exist_ok=True)
                            (keep / f"{name}-{failed}").write_bytes(data)
                faulthandler.cancel_dump_traceback_later()
            grown = held() - before
            if grown > LIMIT_MB:
                failed, shown = failed + 1, shown or f"grew by {grown:.0f} MB"
        crashes += failed
        print(f"| {name} | {-(-inputs // len(names)):,} | {failed} | {slowest:.2f} | {grown:.0f} | "
              f"{time.monotonic() - began:.0f} |" + (f" {shown[:300]}" if shown else ""), flush=True)
    return crashes


def guided(inputs, name):
    """The same with inputs that atheris makes from what they reach in the code."""
    import atheris
    signal.signal(signal.SIGALRM, late)
    with atheris.instrument_imports(include=["preprocess", "detection", "unpack", "transfer"]):
        folder = Path(tempfile.mkdtemp())
        seeds, target = getattr(Targets(folder.resolve()), name)()
    (folder / "corpus").mkdir()
    for i, seed in enumerate(seeds):
        (folder / "corpus" / str(i)).write_bytes(seed)

    def one(data):
        with contextlib.redirect_stdout(io.StringIO()):
            problem = allowed(target, data)
        if problem:
            raise AssertionError(problem)
    atheris.Setup([sys.argv[0], f"-runs={inputs}", "-max_len=4096", str(folder / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N", help="in all (default: 100000)")
    parser.add_argument("--targets", nargs="+", choices=NAMES, default=NAMES, metavar="TARGET",
                        help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the changes (default: 0)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="gets the inputs that crash")
    parser.add_argument("--guided", action="store_true", help="by coverage, one target")
    args = parser.parse_args()
    if args.guided:
        guided(args.inputs, args.targets[0])
    sys.exit(bool(main(args.inputs, args.targets, args.seed, args.keep)))
