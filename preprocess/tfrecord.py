"""A sample -> a serialized tf.train.Example, and a TFRecord file of them, without TensorFlow.

Steps 4, 8 and 12 write records in many processes, each of which TensorFlow would cost four seconds of start and half a
gigabyte of memory. records.py reads them, with TensorFlow; the tests compare every byte with what TensorFlow writes.
"""
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from detection.engines.protobuf import field, varint
from pipeline import storage

BYTES, FLOATS, INTS = 1, 2, 3      # fields of tf.train.Feature
CASTAGNOLI = 0x82F63B78            # the polynomial of CRC-32C, bits reversed
ROW = 64                           # bytes of a record whose checksums are looked up in the same table
PLACES = 256 * np.arange(ROW)
BLOCK = 16                         # records whose checksums are computed together


def encode(image: np.ndarray, label: int, offsets: np.ndarray, points: np.ndarray) -> bytes:
    """uint8 (size, size, 3), int, (4,), (2P,) -> one serialized record, its features in the order of their names."""
    return _example(("image/encoded", BYTES, image.tobytes()), ("image/label", INTS, _integers([label])),
                    ("image/landmark", FLOATS, _floats(points)), ("image/roi", FLOATS, _floats(offsets)))


def encode_tile(image: np.ndarray, faces: np.ndarray, kinds: np.ndarray) -> bytes:
    """Tile (tiles.py): uint8 (TILE, TILE, 3), its faces (TILE_FACES, 4) px and their kinds -> one serialized record."""
    return _example(("image/encoded", BYTES, image.tobytes()), ("image/faces", FLOATS, _floats(faces)),
                    ("image/kinds", INTS, _integers(kinds)))


def _example(*features):
    """(name, kind, content) of each feature, in the order of their names -> serialized Example."""
    return field(1, b"".join(field(1, field(1, name) + field(2, field(kind, field(1, content))))
                             for name, kind, content in features))


def _floats(values):
    return np.asarray(values, "<f4").tobytes()


def _integers(values):
    return b"".join(varint(int(value) % 2 ** 64) for value in values)


def write(path: Path | str, encoded: Iterable[bytes]) -> None:
    """Writes serialized records to `path`, a file or an address, whole or not at all. OSError where that fails."""
    encoded = iter(encoded)
    with storage.atomic_write(path) as temporary, storage.open_write(temporary) as file:
        while block := list(islice(encoded, BLOCK)):
            lengths = [struct.pack("<Q", len(record)) for record in block]
            for parts in zip(lengths, checksums(lengths), block, checksums(block)):
                file.write(b"".join(parts))


def checksums(messages: Sequence[bytes]) -> list[bytes]:
    """Messages of four bytes or more -> their CRC-32C, masked as in TFRecord files, four bytes each.

    A CRC is linear: each byte adds what its value adds at its place. That is looked up in rows of ROW bytes, so that
    the table stays in the cache; what a row comes to is carried to the four bytes behind it.
    """
    rows = -(-max(map(len, messages)) // ROW)
    within, behind = _tables(rows)
    values = np.zeros((len(messages), rows * ROW), np.uint8)        # zeros before a message add nothing
    for line, message in zip(values, messages):
        line[-len(message):] = np.frombuffer(message, np.uint8)
        line[-len(message):][:4] ^= 255                             # the register starts with ones
    sums = np.bitwise_xor.reduce(within.take(values.reshape(-1, ROW) + PLACES), axis=1).reshape(len(messages), rows)
    carried = np.frombuffer(sums[:, :-1].astype("<u4").tobytes(), np.uint8).reshape(len(messages), 4 * (rows - 1))
    added = np.bitwise_xor.reduce(behind.take(carried + 256 * np.arange(carried.shape[1])), axis=1)
    crcs = ~(sums[:, -1] ^ added)
    return [crc.tobytes() for crc in ((crcs >> 15 | crcs << 17) + np.uint32(0xA282EAD8)).astype("<u4")]


@lru_cache(8)
def _tables(rows):
    """What a byte of each value adds to the CRC of so many rows, at each place of the last row: (256 * ROW,), and at
    the first four places of all rows but the first one: (1024 * (rows - 1),)."""
    last = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        last = last >> 1 ^ np.where(last & 1, np.uint32(CASTAGNOLI), np.uint32(0))
    tables = np.empty((rows * ROW, 256), np.uint32)
    tables[-1] = last
    for place in reversed(range(len(tables) - 1)):
        tables[place] = tables[place + 1] >> 8 ^ last[tables[place + 1] & 255]      # one byte further from the end
    return tables[-ROW:].ravel(), tables.reshape(rows, ROW, 256)[1:, :4].ravel()
