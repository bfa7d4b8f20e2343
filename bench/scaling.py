"""How long the pipeline takes, and what it stores, for any number of images and workers; a worker is one machine.

reads    bench/rates.json: measured rates of one machine, each with the command that measures it
prints   hours of each step, storage, and milliseconds of a training step, as markdown: the tables of docs/scaling.md

    python bench/scaling.py                             # 1 s; bench/scaling_rates.py measures and checks
"""
import argparse
import heapq
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import CASCADE, IMAGES_PER_PART, MAX_PARTS, PNET_BASE, STAGES, Conv, Dense
from pipeline import tables

ROOT = Path(__file__).resolve().parents[1]
BATCH = 384
# Samples per image: model/README.md, "Recipe", with 60 mined negatives; landmark samples are of the landmark images
SAMPLES = {"12net": 501.9, "mined by P-Net": 155.4, "mined by P-Net and R-Net": 132.0}
LINE, RECORD = 110, 170        # bytes of a line of a list, and of a record besides its pixels
STEPS = {"12": "12net", "24": "mined by P-Net", "48": "mined by P-Net and R-Net"}


def rates():
    text = json.loads((ROOT / "bench" / "rates.json").read_text(encoding="utf-8"))
    del text["machine"]
    return {group: {name: value for name, (value, _) in rows.items()} for group, rows in text.items()}


def part_size(images):
    return max(IMAGES_PER_PART, -(-images // MAX_PARTS))


def mapped(images, rate, processes):
    """Seconds until the last of `processes` has finished; each takes the next part when it is free."""
    size = part_size(images)
    cost, parts = size / rate, images // size
    if parts > 50 * processes:          # the last part of each hardly counts
        return images / rate / processes + cost / 2
    free = [0.0] * processes
    for done in range(0, images, size):
        heapq.heappush(free, heapq.heappop(free) + min(size, images - done) / rate)
    return max(free)


def collect(rate, images, workers, name):
    """(parallel, serial) seconds of a step from images to lists."""
    lines = images * SAMPLES[name]
    parts = images / part_size(images)
    serial = lines / rate["serial"]["lines merged a second"] + parts / rate["assumed"]["files made a second"] \
        + rate["serial"]["seconds to start a step"]
    return mapped(images, rate["images a second"][name], workers), serial


def cut(rate, samples, workers, size):
    """(parallel, serial) seconds of writing TFRecords."""
    serial = samples / rate["serial"]["lines scattered a second"] \
        + samples * LINE / rate["serial"]["bytes digested a second"] + rate["serial"]["seconds to start a step"]
    return samples / rate["records a second"][size] / workers, serial


def step_seconds(rate, size, workers, batch=BATCH):
    """Seconds of one training step on so many workers: a share of the net's work, all of the input's, and what they
    exchange, in rounds around the ring of workers."""
    stage, share = STAGES[int(size)], batch / BATCH
    reading = share / rate["batches of 384 read a second"][size]       # on the same cores as the net
    net = share / rate["batches of 384 a second"][size] - reading
    if workers == 1:
        return net + reading
    norms = sum(isinstance(layer, (Conv, Dense)) for layer in stage.layers)
    rounds = 4 * norms + 3 + 1          # moments there and back, three heads, gradients packed as one
    exchanged = 4 * (stage.parameters + 16 * batch)
    hops = 2 * (workers - 1) * rate["assumed"]["seconds of one hop between machines"]
    return net / workers + reading + rounds * hops + 2 * exchanged / rate["assumed"]["bytes a second between machines"]


def samples_of(images):
    """Size -> samples that the net is trained on, landmarks left out."""
    return {"12": min(5 * PNET_BASE, images * SAMPLES["12net"]), "24": images * SAMPLES["mined by P-Net"],
            "48": images * SAMPLES["mined by P-Net and R-Net"]}


def predict(images, workers):
    """Rows (what, parallel hours, serial hours) and the sum of a whole run."""
    rate, rows = rates(), []
    for size, samples in samples_of(images).items():
        rows.append((f"{STEPS[size]}: lists", *collect(rate, images, workers, STEPS[size])))
        rows.append((f"TFRecords {size}", *cut(rate, samples, workers, size)))
        best = min((2 ** i for i in range(8) if 2 ** i <= workers), key=lambda n: step_seconds(rate, size, n))
        seconds = STAGES[int(size)].epochs * samples / BATCH * step_seconds(rate, size, best)
        rows.append((f"training {size}", seconds, 0.0))
    return [(name, parallel / 3600, serial / 3600) for name, parallel, serial in rows]


def print_tables():
    """Prints hours, storage and milliseconds."""
    rate = rates()
    for images in (10 ** 6, 10 ** 9):
        runs = {workers: predict(images, workers) for workers in (1, 10, 100, 1000)}
        print(f"\n{images:,} images: hours (of them in one process)\n")
        rows = []
        for same in zip(*runs.values()):      # one step with each number of workers
            rows.append([same[0][0], *(f"{parallel + serial:,.1f} ({serial:,.1f})" for _, parallel, serial in same)])
        rows.append(["all", *(f"{sum(p + s for _, p, s in run):,.0f}" for run in runs.values())])
        print(tables.markdown(["step", *(f"{workers:,}" for workers in runs)], rows))
        lines = images * sum(SAMPLES.values()) * LINE
        shards = sum(n * (int(size) ** 2 * 3 + RECORD) for size, n in samples_of(images).items())
        bytes_of_images = images * rate["assumed"]["bytes of an image"]
        print(f"\nimages {bytes_of_images / 1e12:,.1f} TB, lists {lines / 1e12:,.2f} TB, "
              f"TFRecords {shards / 1e12:,.2f} TB; {images / part_size(images):,.0f} parts of {part_size(images):,} "
              "images")
    print("\nmilliseconds of a training step, batch 384 and (384 a worker)\n")
    counts = (1, 2, 4, 8, 16, 100, 1000)

    def cell(size, workers):
        shared, own = (1e3 * step_seconds(rate, size, workers, batch) for batch in (BATCH, BATCH * workers))
        return f"{shared:,.1f} ({own:,.0f})"
    print(tables.markdown(["net", *(f"{n:,}" for n in counts)],
                  [[stage.name, *(cell(str(stage.size), n) for n in counts)] for stage in CASCADE]))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print_tables()
