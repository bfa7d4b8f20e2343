"""Loads the photographs and annotations that training needs, and puts them where the steps look for them.

    python data/download.py                             # everything: 1.8 GB and the landmark set
    python data/download.py --only wider_val wider_split

reads    the archives' public homes, one after the other until one gives the file; or an archive that you put into the
         folder yourself
writes   data/WIDER_train, WIDER_val, wider_face_split, lfw_5590, net_7876, trainImageList.txt, testImageList.txt;
         data/download.json: what was received. Stopped, the same command goes on where it was.
"""
import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from archives import ARCHIVES
from transfer import Problem, load
from unpack import Damaged, unpack

DATA = Path(__file__).resolve().parent


def holdings(archive, out):
    """Folder or file -> the number of photographs in it, 1 for what is there and holds none, 0 for what is not."""
    return {name: sum(1 for p in (out / name).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
            or int((out / name).exists()) for name in archive.holds}


def there(archive, out, record):
    """Whether what the archive holds lies in `out`: as many photographs as are known, or as were unpacked."""
    known = {name: 1 if count is None else count for name, count in archive.holds.items()}
    return holdings(archive, out) in (known, record and record["holds"])


def obtain(archive, out):
    """(path of the checked archive, where it came from): it lies in `out`, or the first home that gives it does."""
    target, part = out / archive.name, out / f"{archive.name}.part"
    if target.exists():
        wrong = difference(archive, target)
        if wrong:
            raise Problem(f"{target}: is not the published file ({wrong}); remove it and run this again")
        return target, "found in the folder"
    for url in archive.homes:
        have = f", going on after {part.stat().st_size:,} bytes" if part.exists() else ""
        print(f"{archive.name}: from {url}{have}")
        try:
            load(url, part, archive.size)
            wrong = difference(archive, part)
            if not wrong:
                os.replace(part, target)
                return target, url
            part.unlink()
            reason = f"{url}: gave a file that is not the published one ({wrong}); it was removed"
        except Problem as problem:
            reason = str(problem)
        print(reason, file=sys.stderr)
    raise Problem(f"{archive.name}: none of its {len(archive.homes)} homes gives it (the last: {reason}); load it in a "
                  f"browser from {archive.page}, put it into {out} and run this again")


def difference(archive, path):
    """What tells the file from the published one; None where nothing does. Prints size and checksum."""
    size, digest = path.stat().st_size, sha256(path)
    if archive.size not in (None, size):
        return f"{size:,} bytes where {archive.size:,} are expected"
    if archive.sha256 not in (None, digest):
        return f"SHA-256 {digest} where {archive.sha256} is expected"
    print(f"{archive.name}: {size:,} bytes, SHA-256 {digest}, " +
          ("as published" if archive.sha256 else "recorded; no published value is known to compare it with"))
    return None


def sha256(path):
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(archive, out, keep):
    """Loads, checks and unpacks one archive; returns the record of it. The archive itself stays."""
    path, home = obtain(archive, out)
    record = {"from": home, "size": path.stat().st_size, "sha256": sha256(path), "kept": keep}
    try:
        record["files"], left_out = unpack(path, out, tuple(archive.holds))
    except Damaged as problem:
        path.unlink()
        raise Problem(f"{problem}; it was removed, run this again to load it anew") from None
    record["holds"] = holdings(archive, out)
    print(f"{archive.name}: {record['files']:,} files unpacked to {out}, {left_out} others in it left out")
    for name, count in archive.holds.items():
        if not record["holds"][name]:
            raise Problem(f"{path}: holds no {name}; is it the right file? Remove it and run this again")
        if count not in (None, record["holds"][name]):
            print(f"note: {name} holds {record['holds'][name]:,} photographs, {count:,} are known")
    return record


def read_journal(path):
    """Name of an archive -> what was received."""
    try:
        records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if isinstance(records, dict):
            return records
    except ValueError:
        pass
    raise Problem(f"{path}: is damaged; remove it and run this again, what is there is not loaded anew")


def write_journal(path, records):
    """Whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def main(args, archives=ARCHIVES):
    chosen = [archives[name] for name in args.only or archives]
    args.out.mkdir(parents=True, exist_ok=True)
    journal, failed = args.out / "download.json", []
    records = read_journal(journal)
    missing = [archive for archive in chosen if not there(archive, args.out, records.get(archive.name))
               or (args.out / archive.name).exists() and archive.name not in records]     # stopped in its last moment
    for archive in chosen:
        if archive not in missing:
            print(f"{archive.name}: all of it is in {args.out} already")
            if not records.get(archive.name, {}).get("kept", True):
                (args.out / archive.name).unlink(missing_ok=True)
    need = sum(2 * (archive.size or 0) for archive in missing)
    if shutil.disk_usage(args.out).free < need:
        raise Problem(f"{args.out}: {need / 1e9:.1f} GB are needed there, archives and photographs; make room or name "
                      "another folder with --out")
    for terms in dict.fromkeys(archive.terms for archive in missing):
        print(f"\n{terms}\n")
    for archive in missing:
        try:
            records[archive.name] = fetch(archive, args.out, args.keep)
            write_journal(journal, records)
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
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
