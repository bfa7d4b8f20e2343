"""Memory that trainings hold, where a part of it can be measured alone."""
import subprocess
import sys
from pathlib import Path

import pytest

HEAPS = """
import ctypes, os, re, tempfile, threading
from train.train import use_one_heap
use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
together = threading.Barrier(8)

def allocate():
    together.wait()
    assert libc.malloc(2000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fopen.restype, libc.fclose.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
with tempfile.NamedTemporaryFile() as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(len(re.findall(b"<heap nr", file.read())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps are those of the GNU C library")
def test_threads_of_a_training_share_the_heaps():
    run = subprocess.run([sys.executable, "-c", HEAPS], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) <= 2
