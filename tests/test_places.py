"""A local folder and an address that only TensorFlow opens behave alike."""
import pytest
import tensorflow as tf

from preprocess import places


@pytest.fixture(params=["local", "address"])
def folder(request, tmp_path):
    return tmp_path if request.param == "local" else f"file://{tmp_path}"


def put(place, content):
    with places.whole(place) as temporary, tf.io.gfile.GFile(str(temporary), "w") as file:
        file.write(content)


def test_written_files_are_there_with_their_sizes_until_removed(folder):
    place = places.join(folder, "24/shard")
    assert places.size(place) is None
    put(place, "one")
    put(place, "four")
    assert places.size(place) == 4 and tf.io.gfile.listdir(str(places.join(folder, "24"))) == ["shard"]
    assert places.changed(folder, {"24/shard": 4}) == []
    assert places.changed(folder, {"24/shard": 5, "24/none": 1}) == ["24/shard", "24/none"]
    places.remove(place)
    places.remove(place)
    assert places.size(place) is None


def test_a_file_is_not_there_before_it_is_whole(folder):
    place = places.join(folder, "shard")
    with pytest.raises(KeyboardInterrupt):
        with places.whole(place) as temporary:
            tf.io.gfile.GFile(str(temporary), "w").write("half")
            raise KeyboardInterrupt
    assert places.size(place) is None


def test_an_address_stays_itself_below_any_folder(tmp_path):
    assert places.join(tmp_path, "gs://bucket/a") == "gs://bucket/a"
    assert places.join("gs://bucket/a/", "b") == "gs://bucket/a/b"
    assert places.join("a", "b").as_posix() == "a/b"
