"""The arithmetic of a training, and the code that TensorFlow computes it with."""
import os
import platform
import subprocess
import sys

import pytest

from detection.quiet_tensorflow import tf
from train import precision

XEON = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile\nbugs\t\t: mds\n"
CONVOLVE = ("from detection.quiet_tensorflow import tf\n"
            "tf.nn.conv2d(tf.ones((8, 24, 24, 4)), tf.ones((3, 3, 4, 32)), 1, 'VALID')\n")


@pytest.mark.parametrize("cpuinfo, expected", [
    (XEON, "mixed_bfloat16"),
    (XEON.replace("amx_bf16 ", ""), "mixed_bfloat16"),                              # as AMD's since Zen 4
    (XEON.replace("avx512_bf16 amx_bf16 ", ""), "float32"),
    ("processor\t: 0\nflags\t\t: fpu avx avx2 fma\n", "float32"),                    # as AMD's until Zen 3
    ("processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: fpu avx2\n", "float32"),
    ("processor\t: 0\nFeatures\t: fp asimd bf16\n", "float32"),                      # ARM
    ("", "float32"), (None, "float32")])
def test_auto_is_bfloat16_where_the_processor_computes_in_it(tmp_path, monkeypatch, cpuinfo, expected):
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    if cpuinfo is not None:
        precision.CPUINFO.write_text(cpuinfo)
    assert precision.policy("auto") == expected
    assert [precision.policy(name) for name in ("float32", "mixed_bfloat16")] == ["float32", "mixed_bfloat16"]


@pytest.mark.parametrize("gpus, expected", [
    ([{"compute_capability": (8, 0)}], "mixed_bfloat16"), ([{"compute_capability": (12, 0)}] * 2, "mixed_bfloat16"),
    ([{"compute_capability": (7, 5)}], "float32"), ([{"device_name": "Metal"}], "float32"),
    ([{"compute_capability": (8, 9)}, {"compute_capability": (6, 1)}], "float32")])
def test_with_gpus_all_of_them_count_and_the_processor_does_not(tmp_path, monkeypatch, gpus, expected):
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    precision.CPUINFO.write_text("flags\t\t: avx2\n" if expected == "mixed_bfloat16" else XEON)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: gpu)
    assert precision.policy("auto") == expected


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="asked for on x86 alone")
@pytest.mark.parametrize("chosen, used", [(None, True), ("0", False)])
def test_tensorflow_computes_with_onednn_unless_the_user_says_otherwise(chosen, used):
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {"ONEDNN_VERBOSE": "1"} | ({} if chosen is None else {"TF_ENABLE_ONEDNN_OPTS": chosen})
    said = subprocess.run([sys.executable, "-c", CONVOLVE], env=environment, capture_output=True, text=True, check=True)
    assert ("exec,cpu,convolution" in said.stdout) == used
