"""Measures functions by turns, and scripts in processes of their own."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import cv2

ROOT = Path(__file__).resolve().parents[1]


def by_turns(functions, repeats, warm=2):
    """{name: function()} -> {name: [(seconds, processor seconds)] * repeats}: one call of each a turn.

    So noise affects all alike. Processor seconds are those of all threads; other processes affect them less.
    """
    for function in functions.values():
        for _ in range(warm):
            function()
    taken = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter(), time.process_time()
            function()
            taken[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return taken


def medians(taken):
    """[(seconds, processor seconds)] -> their medians."""
    return tuple(map(median, zip(*taken)))


def in_a_process(script, *arguments):
    """Runs a script of bench/; its first line is JSON -> (value, seconds from the start to that line).

    value is None where the script ended without one; it has then printed why.
    """
    start = time.perf_counter()
    command = [sys.executable, str(script), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        line = run.stdout.readline()
        seconds = time.perf_counter() - start
        run.stdout.read()
    return (json.loads(line) if line.startswith(("{", "[")) else None), seconds


def sample_or(data: Path | None) -> Path:
    """The folder `data`; where it is None the folder of the sample of make_sample.py, made where it is missing."""
    if data is None:
        data = ROOT / "data" / "sample"
        subprocess.run([sys.executable, ROOT / "data" / "make_sample.py", "--out", data], check=True,
                       stdout=sys.stderr)       # standard output is the table's
    return data


def resident(peak=False):
    """MB of memory that this process holds, or held at most."""
    with open("/proc/self/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmHWM" if peak else "VmRSS"].split()[0]) / 1000


def machine():
    """Prints what the figures were measured on."""
    name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                 if line.startswith("model name")), "?") if os.path.exists("/proc/cpuinfo") else "?"
    print(f"{os.cpu_count()} cores of {name}, OpenCV {cv2.__version__}, load {os.getloadavg()[0]:.1f} at the end\n")
