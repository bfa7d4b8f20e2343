"""The TFRecord schema of a sample: encode and decode side by side; and where a stage's records are.

image/encoded: the crop's raw uint8 pixels, height x width x 3, BGR; image/label: int64; image/roi: four offsets;
image/landmark: x1 y1 ... xP yP; the keys are the ancestors'.
"""
from contextlib import contextmanager
from pathlib import Path

from config import HEADS, MIRROR_ORDER, POINTS
from detection.errors import UserError
from pipeline import storage
from detection.quiet_tensorflow import tf
from pipeline import settings as st
from pipeline.step import read_manifest

SCHEMA = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
          "image/label": tf.io.FixedLenFeature([], tf.int64),
          "image/roi": tf.io.FixedLenFeature([4], tf.float32),
          "image/landmark": tf.io.FixedLenFeature([HEADS["landmark"]], tf.float32)}


def encode(image, label, offsets, points) -> bytes:
    """uint8 (size, size, 3), int, (4,), (2P,) -> one serialised record."""
    values = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
              "image/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
              "image/roi": tf.train.Feature(float_list=tf.train.FloatList(value=offsets)),
              "image/landmark": tf.train.Feature(float_list=tf.train.FloatList(value=points))}
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString(deterministic=True)


def decode(serialised, size):
    """Records (B,) -> images uint8 (B, size, size, 3), labels int64 (B,), offsets (B, 4), points (B, 2P)."""
    values = tf.io.parse_example(serialised, SCHEMA)
    images = tf.ensure_shape(tf.io.decode_raw(values["image/encoded"], tf.uint8), [None, size * size * 3])
    return (tf.reshape(images, [-1, size, size, 3]), values["image/label"], values["image/roi"],
            values["image/landmark"])


def write(path, encoded):
    """Writes serialised records to `path`, a file or an address, whole or not at all."""
    with storage.atomic_write(path) as temporary:
        try:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in encoded:
                    writer.write(record)
        except tf.errors.OpError as error:
            raise OSError(error.message) from None


class Records:
    """The records of one stage, as <work>/<size>/records.json tells of them.

    counts: "<list>-<split>" -> samples. UserError where missing, of another size, of other points, or short of a shard.
    """

    def __init__(self, folder, size):
        self.folder, self.size = Path(folder), size
        self.manifest = Path(folder) / "records.json"
        manifest = read_manifest(self.manifest)
        self._again = again = f"run `python preprocess/gen_tfrecords.py {size}`"
        if manifest is None:
            raise UserError(f"{self.manifest}: there are no TFRecords; {again} first")
        try:
            report = manifest["report"]
            holds, self._place = report["size"], report.get("place", "records")
            self.counts, self._shards = dict(report["counts"]), dict(report["shards"])
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

    def files(self, name, split):
        """Paths of the shards of one list ("positive", ..., "imglist") and split ("train", "validation")."""
        place = storage.join(self.folder, self._place)
        return [str(storage.join(place, shard)) for shard in self._shards[f"{name}-{split}"]]

    @contextmanager
    def told(self):
        """What goes wrong inside because of a damaged shard becomes a UserError that names it."""
        try:
            yield
        except tf.errors.OpError:
            for path in (path for key in sorted(self._shards) for path in self.files(*key.rsplit("-", 1))):
                try:
                    for part in tf.data.TFRecordDataset(path).batch(1024):
                        decode(part, self.size)
                except tf.errors.OpError:
                    raise UserError(f"{path}: this shard is damaged; {self._again} --force") from None
            raise
