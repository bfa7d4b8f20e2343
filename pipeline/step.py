"""One step of the pipeline: what it reads, whether it is done, how it can be stopped and run again.

A step writes under temporary names in `<folder>/.<name>.parts` and moves its files to their places at its end;
then it writes `<folder>/<name>.json`, the manifest: inputs with digests, options, counts. A step whose manifest
names the same inputs and options is finished and is skipped; parts of a stopped one are used again if theirs do.
While it works it holds a lock of the operating system on a file in the parts: a second run of it leaves at once.
"""
import argparse
import hashlib
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

try:
    import fcntl
except ImportError:      # Windows: nothing keeps a second run out there
    fcntl = None

from config import DATA, FACIAL_POINTS, FORMAT, MIRROR_ORDER, MODEL, POINTS, SEED
from detection.errors import UserError, run_main
from detection.files import atomic_write
from pipeline import storage

LOCK = "lock"     # name of the file among the parts
# In the manifests of every step where they are not the five: lists and records of other points are stale.
OTHER_POINTS = {} if POINTS == FACIAL_POINTS else {"points": [list(POINTS), list(MIRROR_ORDER)]}


def parser(docstring):
    """A parser with the options that every step has; the docstring is the help text."""
    result = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = result.add_argument_group("where things are")
    group.add_argument("--data", type=Path, default=DATA, metavar="DIR",
                       help="photographs and annotations, only read (default: data/)")
    group.add_argument("--work", type=Path, default=None, metavar="DIR",
                       help="lists, TFRecords and checkpoints, in a folder a size (default: the data folder)")
    group.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="trained weights (default: model/)")
    group = result.add_argument_group("how it runs")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--workers", type=int, default=os.cpu_count(), metavar="N",
                        help="processes (default: one a core; the result does not depend on it)")
    either.add_argument("--ray", dest="workers", default=argparse.SUPPRESS, metavar="ADDRESS",
                        help="go through the photos on this Ray cluster instead; its nodes see the same folders")
    group.add_argument("--seed", type=int, default=SEED, help=f"of every random draw (default: {SEED})")
    group.add_argument("--force", action="store_true", help="do it again, though it is done")
    return result


def run(main, arguments):
    """Runs main(parsed arguments); a problem the user can mend becomes one line and exit code 2."""
    args = arguments.parse_args()
    args.work = args.work or args.data
    if isinstance(args.workers, str):
        for name, value in vars(args).items():
            if isinstance(value, Path):
                setattr(args, name, value.absolute())      # nodes of a cluster stand in folders of their own
    elif args.workers < 1:
        arguments.error(f"--workers must be at least 1, not {args.workers}")
    run_main(main, args)


def require(*modules):
    """UserError where one of these is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} not installed; run `pip install -r requirements-eval.txt`")


def digest(path):
    """Hex digest of a file's bytes; UserError where there is no file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run the step that writes it first") from None


def write_text(path, text):
    """Writes a small file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes a small JSON file, whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def count_lines(path):
    """Number of lines in a file."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _keys(inputs):
    """Yields (name, path): the file's name, with its folder's where two have the same."""
    names = [Path(path).name for path in inputs]
    for name, path in zip(names, inputs):
        yield (name if names.count(name) == 1 else f"{Path(path).parent.name}/{name}"), path


class Step:
    """One step in `folder`. inputs: files it depends on. options: all else that changes its result."""

    def __init__(self, folder, name, inputs, options, force=False):
        self.folder, self.name = Path(folder), name
        self.force = force
        self.manifest = self.folder / f"{name}.json"
        self.parts = self.folder / f".{name}.parts"
        self.depends = {"format": FORMAT, "inputs": {key: digest(p) for key, p in _keys(inputs)},
                        "options": json.loads(json.dumps(options)), **OTHER_POINTS}

    def report(self):
        """The manifest's report if the step is done with just these inputs and options, else None."""
        manifest = read_manifest(self.manifest)
        if manifest and not self.force and manifest.get("depends") == self.depends and \
                not storage.changed(self.folder, manifest["outputs"]):
            return manifest["report"]
        return None

    def finished(self):
        """As `report`; prints whether it is done, and clears what an earlier, different run left.

        UserError where another run of this step is at work.
        """
        if self.report() is None:
            self._lock()
        report = self.report()      # once more: a run that was at work a moment ago may have finished it
        if report is not None:
            print(f"{self.manifest}: done already with these inputs and options; --force does it again")
            shutil.rmtree(self.parts, ignore_errors=True)     # a run stopped at its very last line leaves them
            return report
        manifest = read_manifest(self.manifest)
        if manifest and not self.force:
            print(f"{self.manifest}: its inputs or options have changed; doing it again")
        self._discard(manifest)
        key = self.parts / "depends.json"
        if self.force or read_json(key) != self.depends:
            self._clear_parts()
            write_json(key, self.depends)
        else:
            print(f"{self.parts}: going on where an earlier run was stopped")
        return None

    def _lock(self):
        """Keeps other runs of this step out until this process ends, however it ends."""
        path = self.parts / LOCK
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._held = open(path, "a")       # open, so locked, as long as this object lives
                if fcntl:
                    fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(self._held.fileno()), path.stat()):
                    return
            except BlockingIOError:
                raise UserError(f"{self.parts}: another run of this step is at work there; wait for its end, or stop "
                                "it first") from None
            except FileNotFoundError:
                pass                               # the other run ended and removed its parts in between

    def _clear_parts(self):
        for path in self.parts.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()

    def _discard(self, manifest):
        """Removes what an earlier run wrote."""
        for name in manifest["outputs"] if manifest else []:
            storage.remove(storage.join(self.folder, name))
        self.manifest.unlink(missing_ok=True)

    def part(self, name):
        """Path of a temporary file or finished part of this step."""
        return self.parts / name

    def finish(self, outputs, report):
        """Moves the finished parts of these names into the folder, then writes the manifest.

        An output whose name is an address (pipeline/storage.py) is there already.
        """
        for name in outputs:
            if not storage.is_address(name) and self.part(name).exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.part(name), self.folder / name)
        sizes = {name: storage.size(storage.join(self.folder, name)) for name in outputs}
        write_json(self.part("manifest"), {"depends": self.depends, "outputs": sizes, "report": report})
        os.replace(self.part("manifest"), self.manifest)     # so that whatever a kill leaves, it leaves among the parts
        shutil.rmtree(self.parts, ignore_errors=True)
        return report


def read_json(path):
    """What this JSON file says, or None where there is none or it does not parse."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_manifest(path):
    """The manifest in this file, or None where there is none or it is not one."""
    manifest = read_json(path)
    whole = isinstance(manifest, dict) and isinstance(manifest.get("outputs"), dict) and "report" in manifest
    return manifest if whole else None
