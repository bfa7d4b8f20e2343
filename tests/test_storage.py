"""A local folder and an address that only TensorFlow opens behave alike."""
import pytest
import tensorflow as tf

from pipeline import storage


@pytest.fixture(params=["local", "address"])
def folder(request, tmp_path):
    return tmp_path if request.param == "local" else f"file://{tmp_path}"


def put(place, content):
    with storage.atomic_write(place) as temporary, tf.io.gfile.GFile(str(temporary), "w") as file:
        file.write(content)


def test_written_files_are_there_with_their_sizes_until_removed(folder):
    place = storage.join(folder, "24/shard")
    assert storage.size(place) is None
    put(place, "one")
    put(place, "four")
    assert storage.size(place) == 4 and tf.io.gfile.listdir(str(storage.join(folder, "24"))) == ["shard"]
    assert storage.changed(folder, {"24/shard": 4}) == []
    assert storage.changed(folder, {"24/shard": 5, "24/none": 1}) == ["24/shard", "24/none"]
    storage.remove(place)
    storage.remove(place)
    assert storage.size(place) is None


def test_a_file_is_not_there_before_it_is_whole(folder):
    place = storage.join(folder, "shard")
    with pytest.raises(KeyboardInterrupt):
        with storage.atomic_write(place) as temporary:
            tf.io.gfile.GFile(str(temporary), "w").write("half")
            raise KeyboardInterrupt
    assert storage.size(place) is None


def test_an_address_stays_itself_below_any_folder(tmp_path):
    assert storage.join(tmp_path, "gs://bucket/a") == "gs://bucket/a"
    assert storage.join("gs://bucket/a/", "b") == "gs://bucket/a/b"
    assert storage.join("a", "b").as_posix() == "a/b"
