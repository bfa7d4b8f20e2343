"""The arithmetic that a net is trained in, where its stage leaves the choice to the machine."""
from pathlib import Path

from detection.quiet_tensorflow import tf

CPUINFO = Path("/proc/cpuinfo")
FLAGS = {"avx512_bf16", "amx_bf16"}     # in CPUINFO, of processors that multiply in bfloat16
CAPABILITY = (8, 0)                     # of NVIDIA GPUs that do


def policy(precision: str) -> str:
    """A recipe's precision -> Keras' dtype policy. "auto" becomes mixed_bfloat16 where all GPUs or, without one, the
    processor compute in bfloat16, else float32.

    Without such arithmetic TensorFlow rounds and widens each operand: on a processor with AVX2 alone O-Net trains at a
    tenth of float32's speed, on one with AMX at 1.9 times (bench/README.md). Only Linux on x86 tells of its processor;
    elsewhere float32 is the safe choice.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    fits = all(map(_gpu_computes_in_bfloat16, gpus)) if gpus else _processor_computes_in_bfloat16()
    return "mixed_bfloat16" if fits else "float32"


def _gpu_computes_in_bfloat16(gpu: tf.config.PhysicalDevice) -> bool:
    return tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) >= CAPABILITY


def _processor_computes_in_bfloat16() -> bool:
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:                     # not Linux
        return False
    return any(FLAGS & set(line.split()) for line in lines if line.startswith("flags"))
