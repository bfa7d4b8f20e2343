"""Sequences of compressed blocks give what was put into them; a list of many images takes little memory."""
import pickle
import tracemalloc

import numpy as np
import pytest

from preprocess.labels import checks, packed, wider
from preprocess.labels.packed import BLOCK, Packed, Part


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 7])
def test_it_is_like_the_list_of_the_same_objects(count):
    items = [(number, str(number)) for number in range(count)]
    pack = Packed(items)
    assert len(pack) == count and list(pack) == items and [*reversed(pack)] == items[::-1]
    for part in (slice(None), slice(3, BLOCK + 5), slice(BLOCK - 2, None, 7), slice(None, None, -1), slice(-5, None)):
        assert list(pack[part]) == items[part] and len(pack[part]) == len(items[part])
        assert list(pack[part][1::2]) == items[part][1::2]
    for number in (-1, 0, count // 2) if count else ():
        assert pack[number] == items[number]
    with pytest.raises(IndexError):
        pack[count]
    assert list(pack.drained()) == items and len(pack) == 0


def test_a_part_takes_its_own_objects_alone_to_another_process():
    pack = Packed(range(10 * BLOCK))
    part = pack[BLOCK - 1:BLOCK + 2]
    assert isinstance(part, Part)
    sent = pickle.dumps(part)
    assert pickle.loads(sent) == [BLOCK - 1, BLOCK, BLOCK + 1] and len(sent) < 100


def test_a_list_of_many_images_is_never_held_unpacked(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(packed, "BLOCK", 50)        # so that a short list has many blocks,
    monkeypatch.setattr(checks, "SAMPLED", 20)      # and of few images it is decided how all are meant
    peaks = []
    for count in (100, 200, 500):                  # the first brings what is cached
        path = tmp_path / f"{count}.txt"
        with open(path, "w", encoding="utf-8") as file:
            for number in range(count):
                rows = rng.integers(1, 900, (4, 10)) * (np.arange(10) != wider.INVALID)
                file.write(f"e/{number}.jpg\n4\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()))
        tracemalloc.start()
        try:
            images = wider.read(path, "images")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert len(images) == count and images[-7].path == f"images/e/{count - 7}.jpg"
    assert (peaks[2] - peaks[1]) / 300 < 1000       # bytes per image; its objects take 5,000
