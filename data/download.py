"""Downloads the images and annotations that training needs, and puts them where the steps look for them.

    python data/download.py                             # everything: 1.8 GB and the landmark set
    python data/download.py --only wider_val wider_split

reads    the archives' public homes, one after the other until one gives the file; or an archive that you put into the
         folder yourself
writes   data/WIDER_train, WIDER_val, wider_face_split, lfw_5590, net_7876, trainImageList.txt, testImageList.txt;
         data/download.json: what was received, and from where. Stopped, the same command resumes.
"""
import argparse
import hashlib
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from archives import ARCHIVES
from transfer import Problem, load
from unpack import Damaged, unpack

DATA = Path(__file__).resolve().parent


def holdings(archive, out):
    """Folder or file -> the number of images in it, 1 if it exists without any, 0 if it does not exist."""
    return {name: sum(1 for p in (out / name).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
            or int((out / name).exists()) for name in archive.holds}


def there(archive, out, record):
    """Whether what the archive holds lies in `out`: as many images as are known, or as were unpacked."""
    known = {name: 1 if count is None else count for name, count in archive.holds.items()}
    return holdings(archive, out) in (known, record.get("holds"))


def obtain(archive, out, journal):
    """Brings the checked archive into `out` and returns its path; the journal then holds where it came from, its size
    and checksum. It lies in `out` already, or the first home that gives it does."""
    target, part = out / archive.name, out / f"{archive.name}.part"
    if target.exists():
        found = {"size": target.stat().st_size, "sha256": sha256(target)}
        wrong = difference(archive, **found)
        if wrong:
            raise Problem(f"{target}: is not the published file ({wrong}); remove it and run this again")
        if journal.record(archive).get("sha256") != found["sha256"]:     # not one that an earlier run loaded
            journal.note(archive, {"from": "found in the folder", **found})
        return target
    for url in archive.homes:
        have = f", resuming after {part.stat().st_size:,} bytes" if part.exists() else ""
        print(f"{archive.name}: from {url}{have}")
        try:
            load(url, part, archive.size, begin=partial(journal.note, archive, {"from": url}))
            received = {"size": part.stat().st_size, "sha256": sha256(part)}
            wrong = difference(archive, **received)
            if not wrong:
                journal.note(archive, {"from": journal.record(archive).get("from", url), **received})
                os.replace(part, target)
                return target
            part.unlink()
            reason = f"{url}: gave a file that is not the published one ({wrong}); it was removed"
        except Problem as problem:
            reason = str(problem)
        print(reason, file=sys.stderr)
    raise Problem(f"{archive.name}: none of its {len(archive.homes)} homes gives it (the last: {reason}); load it in a "
                  f"browser from {archive.page}, put it into {out} and run this again")


def difference(archive, size, sha256):
    """What distinguishes the file from the published one; None where nothing does. Prints size and checksum."""
    if archive.size not in (None, size):
        return f"{size:,} bytes where {archive.size:,} are expected"
    if archive.sha256 not in (None, sha256):
        return f"SHA-256 {sha256} where {archive.sha256} is expected"
    print(f"{archive.name}: {size:,} bytes, SHA-256 {sha256}, " +
          ("as published" if archive.sha256 else "recorded; no published value is known to compare it with"))
    return None


def sha256(path):
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(archive, out, keep, journal):
    """Loads, checks and unpacks one archive and notes it in the journal. The archive itself stays."""
    path = obtain(archive, out, journal)
    try:
        unpacked, left_out = unpack(path, out, tuple(archive.holds))
    except Damaged as problem:
        path.unlink()
        raise Problem(f"{problem}; it was removed, run this again to load it anew") from None
    holds = holdings(archive, out)
    print(f"{archive.name}: {unpacked:,} files unpacked to {out}, {left_out} others in it left out")
    for name, count in archive.holds.items():
        if not holds[name]:
            raise Problem(f"{path}: holds no {name}; is it the right file? Remove it and run this again")
        if count not in (None, holds[name]):
            print(f"note: {name} holds {holds[name]:,} images, {count:,} were expected")
    received = {key: journal.record(archive)[key] for key in ("from", "size", "sha256")}
    journal.note(archive, {**received, "kept": keep, "files": unpacked, "holds": holds})


class Journal:
    """download.json: name of an archive -> what is known of it: `from` as soon as bytes arrive, `size` and `sha256`
    when it is complete, `kept`, `files` and `holds` when it is unpacked."""

    def __init__(self, path):
        self.path, self.records = path, {}
        try:
            self.records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            self.records = None
        if not (isinstance(self.records, dict) and all(isinstance(record, dict) for record in self.records.values())):
            raise Problem(f"{path}: is damaged; remove it and run this again, existing images are not loaded anew")

    def record(self, archive):
        return self.records.get(archive.name, {})

    def note(self, archive, record):
        """Replaces a record; the file is written completely or not at all."""
        self.records[archive.name] = record
        temporary = self.path.with_name(self.path.name + ".tmp")
        temporary.write_text(json.dumps(self.records, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, self.path)


def main(args, archives=ARCHIVES):
    chosen = [archives[name] for name in args.only or archives]
    args.out.mkdir(parents=True, exist_ok=True)
    journal, failed = Journal(args.out / "download.json"), []
    missing = [archive for archive in chosen if not there(archive, args.out, journal.record(archive)) or
               (args.out / archive.name).exists() and "holds" not in journal.record(archive)]      # not all unpacked
    for archive in chosen:
        if archive not in missing:
            print(f"{archive.name}: all of it is in {args.out} already")
            if not journal.record(archive).get("kept", True):
                (args.out / archive.name).unlink(missing_ok=True)
    need = sum(2 * (archive.size or 0) for archive in missing)
    if shutil.disk_usage(args.out).free < need:
        raise Problem(f"{args.out}: {need / 1e9:.1f} GB are needed there, archives and images; make room or name "
                      "another folder with --out")
    for terms in dict.fromkeys(archive.terms for archive in missing):
        print(f"\n{terms}\n")
    for archive in missing:
        try:
            fetch(archive, args.out, args.keep, journal)
            if not args.keep:
                (args.out / archive.name).unlink()
        except Problem as problem:
            failed.append(str(problem))
    if failed:
        raise Problem("\nerror: ".join(failed))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ARCHIVES, metavar="SET",
                        help=f"of {', '.join(ARCHIVES)} (default: all)")
    parser.add_argument("--out", type=Path, default=DATA, metavar="DIR", help="default: data/")
    parser.add_argument("--keep", action="store_true", help="keep the archives once they are unpacked")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(parse())
    except Problem as problem:
        sys.exit(print(f"error: {problem}", file=sys.stderr) or 2)
    except OSError as problem:
        print(f"error: {problem.filename or 'the disk'}: {problem.strerror}; make room or name another --out",
              file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; the same command continues from here", file=sys.stderr)
        sys.exit(130)
