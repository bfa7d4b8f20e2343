"""The schema of a sample's record and its decoding, with TensorFlow; and the records of a stage on the disk.

image/encoded: the crop's raw uint8 pixels, height x width x 3, BGR; image/label: int64; image/roi: four offsets;
image/landmark: x1 y1 ... xP yP, NaN where a point of a landmark sample is not labeled. The keys are those of both
baselines. tfrecord.py encodes and writes.
"""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config import HEADS, MIRROR_ORDER, POINTS, STAGES, TILE_FACES
from detection.errors import UserError
from detection.quiet_tensorflow import tf
from pipeline import settings as st
from pipeline import storage
from pipeline.step import read_manifest

SCHEMA = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
          "image/label": tf.io.FixedLenFeature([], tf.int64),
          "image/roi": tf.io.FixedLenFeature([4], tf.float32),
          "image/landmark": tf.io.FixedLenFeature([HEADS["landmark"]], tf.float32)}


def decode(serialized: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Records (B,) -> images uint8 (B, size, size, 3), labels int64 (B,), offsets (B, 4), points (B, 2P)."""
    values = tf.io.parse_example(serialized, SCHEMA)
    images = tf.ensure_shape(tf.io.decode_raw(values["image/encoded"], tf.uint8), [None, size * size * 3])
    return (tf.reshape(images, [-1, size, size, 3]), values["image/label"], values["image/roi"],
            values["image/landmark"])


TILE_SCHEMA = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
               "image/kinds": tf.io.FixedLenFeature([TILE_FACES], tf.int64),
               "image/faces": tf.io.FixedLenFeature([TILE_FACES * 4], tf.float32)}


def decode_tiles(serialized: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Records (B,) -> tiles uint8 (B, size, size, 3), kinds int64 (B, F), faces (B, F, 4) px, points (B, 0)."""
    values = tf.io.parse_example(serialized, TILE_SCHEMA)
    images = tf.ensure_shape(tf.io.decode_raw(values["image/encoded"], tf.uint8), [None, size * size * 3])
    faces = tf.reshape(values["image/faces"], [-1, TILE_FACES, 4])
    return tf.reshape(images, [-1, size, size, 3]), values["image/kinds"], faces, faces[:, 0, :0]


# What reading a shard raises where it is damaged or gone. Others, as where memory runs out, say nothing of the shards.
DAMAGED = tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError


class Records:
    """The records of one stage, as <work>/<size>/records.json describes them.

    counts: "<list>-<split>" -> samples. landmarks: whether some are landmark samples. validates: whether the held-out
    ones are of all kinds that the others are of. UserError where the records are missing, hold crops of another size,
    px, or other points, or a shard is missing or cut short. script: that writes them, if not gen_tfrecords.py.
    """

    def __init__(self, folder: Path, size: int, script: str = ""):
        self.folder, self.size = Path(folder), size
        self._decode = decode if size in STAGES else decode_tiles
        self.manifest = Path(folder) / "records.json"
        manifest = read_manifest(self.manifest)
        self._again = again = f"run `python preprocess/{script or f'gen_tfrecords.py {size}'}`"
        if manifest is None:
            raise UserError(f"{self.manifest}: there are no TFRecords; {again} first")
        try:
            report = manifest["report"]
            holds, self._place = report["size"], report.get("place", "records")
            names = STAGES[size].batch if size in STAGES else ()
            absent = {f"{name}-{split}" for name in names for split in ("train", "validation")}
            self.counts = {**dict.fromkeys(absent, 0), **report["counts"]}
            self.shards = {**dict.fromkeys(absent, ()), **report["shards"]}
            kinds = report.get("kinds", ("landmark-train", "landmark-validation"))     # older ones do not say it
            self.landmarks = any(kind.startswith("landmark") for kind in kinds)
            self.validates = all(kind.replace("-train", "-validation") in kinds for kind in kinds)
            settings = manifest["depends"]["settings"]
            points = settings["POINTS"], settings["MIRROR_ORDER"]
            lacking = storage.changed(self.folder, manifest["outputs"])
        except (AttributeError, KeyError, TypeError, ValueError, OSError):
            raise UserError(f"{self.manifest}: is damaged, or of an older version; {again} --force") from None
        if holds != size:
            raise UserError(f"{self.manifest}: these records hold {holds} px crops, not {size} px; {again}")
        if points != (st.plain(POINTS), st.plain(MIRROR_ORDER)):
            raise UserError(f"{self.manifest}: these records hold other points than config.py names; do all steps "
                            "again, from the first one on")
        if lacking:
            raise UserError(f"{storage.join(self.folder, lacking[0])}: this shard is missing or cut short; {again}")

    def files(self, name: str, split: str) -> list[str]:
        """Paths of the shards of one list ("positive", ..., "imglist") and split ("train", "validation")."""
        place = storage.join(self.folder, self._place)
        return [str(storage.join(place, shard)) for shard in self.shards[f"{name}-{split}"]]

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Errors in the block that come from a damaged shard become a UserError that names the shard."""
        try:
            yield
        except DAMAGED:
            for path in (path for key in sorted(self.shards) for path in self.files(*key.rsplit("-", 1))):
                try:
                    for part in tf.data.TFRecordDataset(path).batch(1024):
                        self._decode(part, self.size)
                except DAMAGED:
                    raise UserError(f"{path}: this shard is damaged; {self._again} --force") from None
            raise
