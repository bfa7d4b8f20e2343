"""One step of the pipeline: what it reads, whether it is done, how it can be stopped and run again.

A step writes under temporary names in `<folder>/.<name>.parts` and moves its files to their places at its end;
then it writes `<folder>/<name>.json`, the manifest: inputs with digests, options, counts. A step whose manifest
names the same inputs and options is finished and is skipped; parts of a stopped one are used again if theirs do.
"""
import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from config import DATA, FORMAT, MODEL, SEED
from detection.errors import UserError
from detection.whole import whole
from preprocess import places


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
    try:
        main(args)
    except UserError as error:
        sys.exit(_plain(error))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def _plain(error):
    print(f"error: {error}", file=sys.stderr)
    return 2


def digest(path):
    """Hex digest of a file's bytes; UserError where there is no file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run the step that writes it first") from None


def write_text(path, text):
    """Writes a small file, whole or not at all."""
    with whole(path) as temporary:
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
        self.manifest = self.folder / f"{name}.json"
        self.parts = self.folder / f".{name}.parts"
        self.depends = {"format": FORMAT, "inputs": {key: digest(p) for key, p in _keys(inputs)},
                        "options": json.loads(json.dumps(options))}
        if force:
            self._discard(read_manifest(self.manifest))
            shutil.rmtree(self.parts, ignore_errors=True)

    def report(self):
        """The manifest's report if the step is done with just these inputs and options, else None."""
        manifest = read_manifest(self.manifest)
        if manifest and manifest["depends"] == self.depends and not places.changed(self.folder, manifest["outputs"]):
            return manifest["report"]
        return None

    def finished(self):
        """As `report`; prints whether it is done, and clears what an earlier, different run left."""
        manifest, report = read_manifest(self.manifest), self.report()
        if report is not None:
            print(f"{self.manifest}: done already with these inputs and options; --force does it again")
            shutil.rmtree(self.parts, ignore_errors=True)     # a run stopped at its very last line leaves them
            return report
        if manifest:
            print(f"{self.manifest}: its inputs or options have changed; doing it again")
            self._discard(manifest)
        key = self.parts / "depends.json"
        if not key.is_file() or json.loads(key.read_text()) != self.depends:
            shutil.rmtree(self.parts, ignore_errors=True)
            write_json(key, self.depends)
        else:
            print(f"{self.parts}: going on where an earlier run was stopped")
        return None

    def _discard(self, manifest):
        """Removes what an earlier run wrote."""
        for name in manifest["outputs"] if manifest else []:
            places.remove(places.join(self.folder, name))
        self.manifest.unlink(missing_ok=True)

    def part(self, name):
        """Path of a temporary file or finished part of this step."""
        return self.parts / name

    def finish(self, outputs, report):
        """Moves the finished parts of these names into the folder, then writes the manifest.

        An output whose name is an address (preprocess/places.py) is there already.
        """
        for name in outputs:
            if not places.is_address(name) and self.part(name).exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.part(name), self.folder / name)
        sizes = {name: places.size(places.join(self.folder, name)) for name in outputs}
        write_json(self.part("manifest"), {"depends": self.depends, "outputs": sizes, "report": report})
        os.replace(self.part("manifest"), self.manifest)     # so that whatever a kill leaves, it leaves among the parts
        shutil.rmtree(self.parts)
        return report


def read_manifest(path):
    """The manifest in this file, or None where there is none or it does not parse."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
