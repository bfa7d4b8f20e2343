"""One step of the pipeline: what it depends on, whether it is done, how it can be stopped and run again.

A step writes under temporary names in `<folder>/.<name>.parts` and moves its files to their places at its end; then it
writes `<folder>/<name>.json`, the manifest: what the step depends on (inputs with digests, options, settings), the
files that it wrote, and a report with counts. A step is done and is skipped where its manifest names the same inputs,
options and settings; else it is stale, and a message says what has changed. The parts of a stopped run are used again
on the same condition. While a step works it holds a lock of the operating system on a file among its parts: a second
run of the same step ends at once with an error.
"""
import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:      # on Windows nothing keeps a second run out
    fcntl = None

from config import DATA, FORMAT, MODEL, SEED
from detection import boxes as bx
from detection.errors import UserError, run_main
from detection.files import atomic_write
from pipeline import settings as st
from pipeline import storage

LOCK = "lock"     # name of the file among the parts


EVERY = ("workers", "seed", "force")               # the further options of a step that goes through images
ALONE = ("one process", "seed", "force")           # of one that does not: the same, so that one line of options serves
                                                   # all steps, with a help that says it
PROCESSES = {"workers": ("processes (default: one per core; the result does not depend on it)",
                         "process the images on this Ray cluster instead; its nodes see the same folders"),
             "one process": ("taken as by every step; this one goes through no images", "as --workers")}


def parser(docstring: str, *options: str) -> argparse.ArgumentParser:
    """A parser with the folders that every script takes and these further options: EVERY, ALONE, or some of EVERY for
    what is no step. The docstring is the help text."""
    result = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = result.add_argument_group("folders")
    group.add_argument("--data", type=Path, default=DATA, metavar="DIR",
                       help="images and annotations, only read (default: data/)")
    group.add_argument("--work", type=Path, default=None, metavar="DIR",
                       help="lists, TFRecords and checkpoints, one folder per size (default: the data folder)")
    group.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="trained weights (default: model/)")
    group = result.add_argument_group("how it runs")
    for processes, ray in (PROCESSES[option] for option in options if option in PROCESSES):
        either = group.add_mutually_exclusive_group()
        either.add_argument("--workers", type=positive, default=os.cpu_count(), metavar="N", help=processes)
        either.add_argument("--ray", dest="workers", default=argparse.SUPPRESS, metavar="ADDRESS", help=ray)
    if "seed" in options:
        group.add_argument("--seed", type=int, default=SEED, help=f"of all random numbers (default: {SEED})")
    if "force" in options:
        group.add_argument("--force", action="store_true", help="do the step again though it is done")
    return result


def positive(text: str) -> int:
    """What is given for an option -> a whole number of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return int(text)


def refuse_ignored(arguments: argparse.ArgumentParser, args: argparse.Namespace, by: str, names: Iterable[str]) -> None:
    """Ends the script, as an unknown option does, where one of the options `names` is given, which `by` leaves without
    an effect. args: parsed."""
    given = arguments.parse_args(namespace=argparse.Namespace(**dict.fromkeys(vars(args))))      # no defaults
    for name in names:
        if getattr(given, name) is not None:
            arguments.error(f"--{name.replace('_', '-')} changes nothing with {by}; leave it out")


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser,
        ignored: Mapping[str, Iterable[str]] | None = None) -> None:
    """Runs main(parsed arguments); a UserError becomes one line and exit code 2. ignored: option -> those that it
    leaves without an effect, which are refused beside it."""
    args = arguments.parse_args()
    for by, names in (ignored or {}).items():
        if getattr(args, by):
            refuse_ignored(arguments, args, f"--{by}", names)
    args.work = args.work or args.data
    if isinstance(getattr(args, "workers", 1), str):
        for name, value in vars(args).items():
            if isinstance(value, Path):
                setattr(args, name, value.absolute())      # nodes of a cluster work in other folders

    def checked() -> None:
        bx.check_mirror_order()
        main(args)
    run_main(checked)


def require(*modules: str) -> None:
    """UserError where one of these is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} not installed; run `pip install -r requirements-eval.txt`")


def digest(path: Path) -> str:
    """Hex digest (32 characters) of a file's bytes; UserError where there is no file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run the step that writes it first") from None


def write_text(path: Path, text: str) -> None:
    """Writes a small text file in UTF-8, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes a small JSON file, whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def count_lines(path: Path) -> int:
    """Number of lines in a file."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Files -> name -> digest, as `Step` takes them; with the folder's name where two files have the same name."""
    paths = [Path(path) for path in paths]
    names = [path.name for path in paths]
    return {name if names.count(name) == 1 else f"{path.parent.name}/{name}": digest(path)
            for name, path in zip(names, paths)}


class Step:
    """One step in `folder`.

    inputs: name -> digest of each file that the step reads, or of its content (`digests`); options: name -> value, from
    the command line; settings: name -> value, from config.py (pipeline/settings.py); force: do it though it is done.
    """

    def __init__(self, folder: Path, name: str, inputs: Mapping[str, str], options: Mapping[str, Any],
                 settings: Mapping[str, Any], force: bool = False):
        self.folder, self.name = Path(folder), name
        self.force = force
        self.manifest = self.folder / f"{name}.json"
        self.parts = self.folder / f".{name}.parts"
        self.depends = {"settings": {"FORMAT": FORMAT, **st.plain(settings)}, "options": st.plain(options),
                        "inputs": dict(inputs)}

    def report(self) -> dict[str, Any] | None:
        """The manifest's report if the step is done with just these inputs, options and settings, else None."""
        manifest = read_manifest(self.manifest)
        return manifest["report"] if manifest and not self.force and not self._changes(manifest) else None

    def finished(self) -> dict[str, Any] | None:
        """As `report`; prints whether the step is done, or what has changed, and clears what a stale run left.

        UserError where another run of this step is at work.
        """
        if self.report() is None:
            self._lock()
        report = self.report()      # once more: a run that was at work a moment ago may have finished it
        if report is not None:
            print(f"{self.manifest}: done already with these inputs, options and settings; --force does it again")
            shutil.rmtree(self.parts, ignore_errors=True)     # a run stopped at its very last line leaves them
            return report
        manifest = read_manifest(self.manifest)
        if manifest and not self.force:
            print(f"{self.manifest}: {st.summary(self._changes(manifest))}; doing it again")
        self._discard(manifest)
        key = self.parts / "depends.json"
        stopped = read_json(key)
        if self.force or stopped != self.depends:
            if isinstance(stopped, dict) and not self.force:
                print(f"{self.parts}: {st.summary(st.differences(stopped, self.depends))} since the run that was "
                      "stopped; starting anew")
            self._clear_parts()
            write_json(key, self.depends)
        else:
            print(f"{self.parts}: resuming the run that was stopped")
        return None

    def _changes(self, manifest: dict[str, Any]) -> list[str]:
        """What has changed since the run that wrote this manifest, a phrase each; none where the step is done."""
        before = manifest.get("depends")
        if before != self.depends:
            return st.differences(before if isinstance(before, dict) else {}, self.depends)
        return [f"{name} is missing or has another size" for name in storage.changed(self.folder, manifest["outputs"])]

    def _lock(self) -> None:
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

    def _clear_parts(self) -> None:
        for path in self.parts.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()

    def _discard(self, manifest: dict[str, Any] | None) -> None:
        """Removes what an earlier run wrote."""
        for name in manifest["outputs"] if manifest else []:
            storage.remove(storage.join(self.folder, name))
        self.manifest.unlink(missing_ok=True)

    def part(self, name: str) -> Path:
        """Path of a temporary file or a finished part of this step."""
        return self.parts / name

    def finish(self, outputs: Sequence[str], report: dict[str, Any]) -> dict[str, Any]:
        """Moves the finished parts of these names into the folder, writes the manifest, returns the report.

        An output whose name is an address (pipeline/storage.py) is there already.
        """
        for name in outputs:
            if not storage.is_address(name) and self.part(name).exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.part(name), self.folder / name)
        sizes = {name: storage.size(storage.join(self.folder, name)) for name in outputs}
        write_json(self.part("manifest"), {"depends": self.depends, "outputs": sizes, "report": report})
        os.replace(self.part("manifest"), self.manifest)     # a kill leaves nothing outside the parts
        shutil.rmtree(self.parts, ignore_errors=True)
        return report


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None where there is no such file or it does not parse."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest in this file, or None where there is no such file or it is not a manifest."""
    manifest = read_json(path)
    whole = isinstance(manifest, dict) and isinstance(manifest.get("outputs"), dict) and "report" in manifest
    return manifest if whole else None
