"""The whole detector as one graph: an image of any size in, faces out.

The methods are those of detection/cascade.py and of what it calls, written in the operators of graph.py. Pixels are the
same to the last bit: where detection interpolates in whole numbers, the graph does in float32 numbers that hold these
exactly. An interpolation along an axis of a level is the weighted sum of two of its rows (`places`); along an axis of
the crops, which differ, it is a product with a matrix that has the weights of a place in each row (`hat`).
"""
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from config import (
    BOTTOM_ODDS,
    CASCADE,
    FLIP_BELOW,
    HEADS,
    LEVEL_NMS,
    LIT,
    MOST_LIGHT,
    NET_PIXELS,
    ODDS_POWER,
    ONET,
    PNET,
    PNET_BORDER,
    PNET_STRIDE,
    POINTS,
    POINTS_BOX,
    POINTS_CENTER,
    PYRAMID_FACTOR,
    RNET,
    SIZE_FALL,
    SIZE_OCTAVES,
    SIZE_ODDS,
    SUPPORT,
    SUPPORT_CELLS,
    SUPPORT_FALL,
    SURE,
    VOTE_IOU,
    VOTE_TRUST,
    VOTES_EXPECTED,
    Stage,
)
from detection import boxes as bx
from detection import images, weights
from detection.network import crops_per_call
from detection.types import Arrays
from export.graph import Graph, Value

STRIP = 48                              # columns of P-Net's map in one call; more
STRIP_CELLS = 96 * 150                  # where it has fewer cells than these: its maps stay in the cache
REACH = SUPPORT_CELLS[0] // 2           # cells of the neighboring strips that a strip sees, too
BAND = 128                              # rows of an image that are changed at a time; even
SAMPLED = 4 * NET_PIXELS                # px of an image that are read for the crops of one call
RUN = 4                                 # neighbouring pixels that are read at once
UNITS = np.float32([[RUN], [1]])        # to which the first x and y that are read are rounded down
POWERS = 2 ** np.arange(16)
NOWHERE = np.float32([[-30001, -30001, -30000, -30000, SURE, *[0] * 6]])   # a window of 1 px, score, offsets, center
OUTPUTS = {"boxes": ("faces", 4), "scores": ("faces",), "landmarks": ("faces", len(POINTS), 2),   # best first, px
           "proposals": ("proposals", 5), "refined": ("refined", 5)}       # boxes and scores after P-Net and R-Net
FACES = tuple(OUTPUTS)[:3]


class Cascade:
    """Adds the detector to a graph. arrays: of each net, by its name; for images in the order of its channels."""

    def __init__(self, graph: Graph, arrays: Mapping[str, Arrays]):
        self.g, self.arrays = graph, arrays

    def detect(self, image: Value, min_face: Value, thresholds: Value) -> dict[str, Value]:
        """Image uint8 (H, W, 3), min_face float32 () px, thresholds float32 (3,) -> OUTPUTS."""
        self.thresholds = [thresholds[i:i + 1] for i in range(len(CASCADE))]
        self.smallest = self.g.maximum(min_face, np.float32(1))     # of 0, the pyramid would never end
        self.scales = self.brightened(self.half_scales(image))
        self.sides = self.g.vector([self.scales[0].size(axis) for axis in (1, 0)])           # width, height
        self.keep_runs()
        proposals = self.propose()
        refined = self.refine(proposals)
        boxes, scores, landmarks = self.output(refined)
        return dict(zip(OUTPUTS, (boxes, scores, landmarks, proposals, refined)))

    # Pixels: detection/images.py.

    def half_scales(self, image: Value) -> list[Value]:
        """uint8 (H, W, 3) -> the image, its half and its quarter; sides are padded with black to multiples of 4 px."""
        pads = [0, 0, 0, *((4 - image.size(axis) % 4) % 4 for axis in (0, 1)), 0]
        scales = [self.g.op("Pad", image, self.g.vector(pads), np.uint8(0))]
        for _ in range(2):
            scales.append(self.half(scales[-1]))
        return scales

    def keep_runs(self) -> None:
        """The rows of the half scales as runs of pixels, uint8 (N, 3 RUN), black after the last of a row. For scale 1,
        2 and 4, int64 (5,): the first of its runs and how many a row has."""
        g, runs, starts, lengths, start = self.g, [], [], [], 0
        for scale in self.scales:
            pads = g.vector([0, 0, 0, 0, (RUN - scale.size(1) % RUN) % RUN, 0])
            runs.append(g.op("Pad", scale, pads, np.uint8(0)).reshape(-1, 3 * RUN))
            starts.append(start)
            lengths.append(runs[-1].size(0) / scale.size(0))
            start = runs[-1].size(0) + start
        self.runs = g.concat(runs)
        self.starts, self.lengths = (g.vector([0, each[0], each[1], 0, each[2]]) for each in (starts, lengths))

    def half(self, image: Value) -> Value:
        """uint8 (H, W, 3), sides even -> (H / 2, W / 2, 3): means of 2 x 2 pixels."""
        def means(band):
            pixels = planes(band).reshape(1, 3, BAND, -1)
            pixels = self.g.op("AveragePool", pixels, kernel_shape=[2, 2], strides=[2, 2])
            return rounded(pixels).reshape(3, BAND // 2, -1)

        return self.banded(image, means, image.size(0) / 2)

    def brightened(self, scales: Sequence[Value]) -> list[Value]:
        """Half scales -> the same, brighter in dim or colored light."""
        g, quarter = self.g, scales[-1]
        large = g.minimum(quarter.size(0), quarter.size(1)) > 4
        blocks = planes(g.once(large.reshape(), lambda image: self.half_scales(image)[-1], quarter))
        brightest = g.maximum(g.largest(blocks.reshape(3, -1), 1), np.float32(1))                    # (3, 1)
        factors = g.minimum(g.value(np.float32(LIT)) / brightest, np.float32(MOST_LIGHT))
        factors = g.maximum(factors, np.float32(1)).reshape(3, 1, 1)

        def brighter(image):
            return self.banded(image, lambda band: g.minimum(rounded(planes(band) * factors), np.float32(255)),
                               image.size(0))

        is_dim = (g.largest(factors, 0) > 1).reshape()
        return [g.once(is_dim, brighter, scale) for scale in scales]

    def banded(self, image: Value, change: Callable[[Value], Value], rows: Value) -> Value:
        """uint8 (H, W, 3) -> uint8 (rows, w, 3): what `change` makes, float32 (3, b, w), of each BAND rows of the image
        (BAND, W, 3), which has its last row again below it."""
        g, height = self.g, image.size(0)

        def band(i):
            index = g.minimum(g.arange(BAND) + i * BAND, height - 1)
            return None, change(image.take(index)).cast(np.uint8).transpose(1, 2, 0)

        found, = g.loop(band, times=(height + (BAND - 1)) / BAND, scans=1)
        return found.reshape(-1, found.size(2), 3)[:rows]

    def hat(self, places: Value, count: Value) -> Value:
        """Places (..., S) in pixels -> weights (..., S, count) of the pixels 0, 1, ... in a linear interpolation."""
        g = self.g
        pixels = g.arange(count).cast(np.float32)
        distance = g.op("Abs", g.op("Unsqueeze", places, np.int64([-1])) - pixels)
        return g.op("Relu", 1 - distance)

    # P-Net: Detector._propose.

    def limits(self, stage: Stage, octaves: Value) -> Value:
        """Detector.limits of R-Net, and of P-Net where the bottom border does not cut: octaves (N, 1) -> (N, 1)."""
        g, place = self.g, CASCADE.index(stage)
        clipped = g.minimum(g.maximum(octaves, np.float32(0)), np.float32(SIZE_OCTAVES))
        factors = g.op("Exp", clipped * np.float32(np.log(SIZE_FALL[place]))) * np.float32(SIZE_ODDS[place])
        return multiplied(self.thresholds[place], factors)

    def octaves(self, windows: Value) -> Value:
        """Detector.octaves: square windows (N, 4) px -> (N, 1)."""
        return log2((windows[:, 2:3] - windows[:, :1]) / self.smallest)

    def propose(self) -> Value:
        """-> proposals (N, 5): boxes px, scores; best first."""
        g = self.g
        shorter = g.op("ReduceMin", self.sides, keepdims=0).cast(np.float64)

        def holds_a_window(scale):
            return shorter * scale >= PNET.size

        def level(_, scale, proposals):
            octaves = log2((first / scale).cast(np.float32))
            proposals = g.concat([proposals, self.scan(scale, octaves)])
            return holds_a_window(scale * PYRAMID_FACTOR), scale * PYRAMID_FACTOR, proposals

        first = PNET.size / self.smallest.cast(np.float64)
        _, found = g.loop(level, first, g.zeros(0, 9), going=holds_a_window(first))
        found = found.take(g.argsort(found[:, 4:5].reshape(-1)))
        if levels_may_overlap():
            found = found.take(self.nms(PNET, found[:, :4], found[:, 4:5]))
        return g.concat([decode(found[:, 5:], found[:, :4]), found[:, 4:5]], 1)

    def scan(self, scale: Value, octaves: Value) -> Value:
        """One level of the pyramid, scale float64 level px per image px, octaves float32 (1,) as in pyramid.Layout ->
        (N, 9): windows px, scores, offsets."""
        g = self.g
        limit = self.limits(PNET, octaves)
        limit_below = multiplied(limit, np.float32(BOTTOM_ODDS))
        sides = g.maximum(g.op("Round", self.sides.cast(np.float64) * scale).cast(np.int64), PNET.size)      # (2,)
        fits = self.sides / np.int64([[2], [4]]) >= sides                                                # (2, 2)
        halvings = g.op("ReduceSum", g.op("ReduceMin", fits.cast(np.int64), axes=[1], keepdims=0), keepdims=0)
        source = self.sides / g.value(np.int64([1, 2, 4])).take(halvings)
        times = g.largest(g.where(POWERS * sides.reshape(2, 1) <= source.reshape(2, 1), g.value(POWERS), 1), 1, 0)

        canvas = sides + sides % PNET_STRIDE + 2 * PNET_BORDER
        cells = (canvas - PNET.size) / PNET_STRIDE + 1
        (times_x, times_y), (across, down) = ([values[i:i + 1].reshape() for i in (0, 1)] for values in (times, cells))
        places = self.places(sides, source, times, canvas)
        columns, rows = (places[i:i + 1].reshape(4, -1) for i in (0, 1))
        upper, lower = neighbors(rows[:, :end_of(down) * times_y])
        chosen = [g.op("Equal", halvings, np.int64(i), dtype=bool).cast(np.int64) for i in range(len(self.scales))]
        scale_rows = [[index * each for each in chosen] for index, _ in (upper, lower)]
        is_larger = times_x * times_y > 1
        strips = g.minimum((across * down + (STRIP_CELLS - 1)) / STRIP_CELLS, (across + (STRIP - 1)) / STRIP)
        strip_cells = (across + strips - 1) / strips

        def strip(i, found):
            first = i * strip_cells
            start, end = g.maximum(first - REACH, 0), g.minimum(first + strip_cells + REACH, across)
            before, after = neighbors(columns[:, start * PNET_STRIDE * times_x:end_of(end) * times_x])
            left, right = before[0][:1].reshape(), after[0][-1:].reshape() + 1
            parts = [scale[:, left:right * each] for scale, each in zip(self.scales, chosen)]

            def pixels(rows):
                """Of the chosen scale, float32 (R, columns, 3); of the others there are no columns."""
                return g.concat([part.take(row) for part, row in zip(parts, rows)], 1).cast(np.float32)

            level = pixels(scale_rows[0]) * upper[1] + pixels(scale_rows[1]) * lower[1]
            level = level.transpose(1, 2, 0)                                                         # (columns, 3, R)
            level = level.take(before[0] - left) * before[1] + level.take(after[0] - left) * after[1]
            level = rounded(level).transpose(1, 2, 0)                                                # (3, R, S)
            level = g.once(is_larger, lambda level: self.mean(level, times_y, times_x), level)
            maps = g.net(PNET, self.arrays["pnet"], g.op("Unsqueeze", level, np.int64([0])))
            scores = sigmoid(maps[:, :1])
            around = g.op("Pad", scores, g.value(np.int64([0, 0, REACH, REACH] * 2)), np.float32(0))
            means = g.op("AveragePool", around, kernel_shape=list(SUPPORT_CELLS), strides=[1, 1])
            maps = g.concat([scores, maps[:, 1:], means], 1)[:, :, :, first - start:first - start + strip_cells]
            width, maps = maps.size(3), maps.reshape(6, -1)
            cell = g.nonzero((maps[:1] >= limit_below).reshape(-1))
            row = cell / width
            corners = g.concat([part.reshape(1, -1) for part in (cell - row * width + first, row)]) * PNET_STRIDE
            return None, g.concat([found, g.concat([corners.cast(np.float32), maps.take(cell, 1)])], 1)

        found, = g.loop(strip, g.zeros(8, 0), times=strips)
        found = found.transpose(1, 0)                                                                # (N, 8)
        corners = found[:, :2] - PNET_BORDER
        below = corners[:, 1:] + PNET.size > sides[1:].cast(np.float32)                              # pyramid.Layout
        limits = g.where(below, limit_below, limit)
        found = g.concat([corners, found[:, 2:], limits], 1).where((found[:, 2:3] >= limits).reshape(-1))
        corners = found[:, :2]
        found = found.take(self.iou_nms(g.concat([corners, corners + PNET.size], 1), found[:, 2:3], LEVEL_NMS))
        support = found[:, 8:] * (SUPPORT - octaves * SUPPORT_FALL)                                  # .supported
        found = found.where((found[:, 7:8] >= support).reshape(-1))[:, :7]
        scales = sides.cast(np.float32) / self.sides.cast(np.float32)
        corners = found[:, :2]
        windows = g.concat([corners / scales, (corners + PNET.size) / scales], 1)
        return g.concat([windows, found[:, 2:]], 1)

    def places(self, sides: Value, source: Value, times: Value, canvas: Value) -> Value:
        """Sides of a level, of its source, of its canvas in px, and how often it is larger in between, along x and y,
        each (2,) -> float32 (2, 4, N): for each px of the canvas the pixels of the source on both sides and their
        weights, which are 0 beside the level."""
        g, often = self.g, times.reshape(2, 1, 1)
        source, near = source.reshape(2, 1, 1), (sides * times).reshape(2, 1, 1)
        i = g.arange(g.largest(canvas * times, 0, 0)) - often * PNET_BORDER                          # (2, 1, N)
        place = in_parts(g.maximum((i * 2 + 1) * source - near, 0), near * 2, 256)                   # in 1/256 px
        place = g.minimum(place, (source - 1) * 256)
        pixel = place / 256
        inside = ((i >= 0) & (i < near)).cast(np.float32)
        weight = (place % 256).cast(np.float32) * (1 / 256) * inside
        pixels = g.concat([pixel, g.minimum(pixel + 1, source - 1)], 1).cast(np.float32)
        return g.concat([pixels, inside - weight, weight], 1)

    def mean(self, level: Value, times_y: Value, times_x: Value) -> Value:
        """(3, H times_y, W times_x) -> (3, H, W): means of times_y x times_x pixels, rounded as OpenCV does."""
        g = self.g
        parts = level.reshape(3, -1, times_y, level.size(2) / times_x, times_x)
        means = g.op("ReduceMean", parts, axes=[2, 4], keepdims=0)
        return round_mean(means, (g.maximum(times_x, times_y) <= 2) & (g.minimum(times_x, times_y) > 1))

    # R-Net and O-Net: Detector._refine, _output, _classify.

    def refine(self, proposals: Value) -> Value:
        """Proposals (N, 5) -> (K, 5)."""
        found = self.classify(RNET, proposals)
        boxes, scores = decode(found[:, 5:], found[:, :4]), found[:, 4:5]
        return self.g.concat([boxes, scores], 1).take(self.nms(RNET, boxes, scores))

    def output(self, proposals: Value) -> tuple[Value, Value, Value]:
        """Proposals (N, 5) -> boxes (K, 4), scores (K,), landmarks (K, P, 2), best first."""
        g = self.g
        found = self.classify(ONET, proposals)
        faces = self.merge(found.take(g.argsort(found[:, 4:5].reshape(-1))))
        return faces[:, :4], faces[:, 4:5].reshape(-1), self.landmarks(faces)

    def classify(self, stage: Stage, proposals: Value) -> Value:
        """R-Net or O-Net on proposals (N, 5) -> (K, 9): windows px, scores, offsets; of O-Net (K, 11): and the center
        of the landmarks in the window."""
        g, place = self.g, CASCADE.index(stage)

        def run(crops, windows, before, places):
            outputs = g.net(stage, self.arrays[stage.name], crops)
            own, offsets = sigmoid(outputs[:, :1]), outputs[:, 1:5]
            center = [self.center(outputs[:, 5:])] if stage is ONET else []
            scores = combined(before, own) if stage is ONET else own
            limits = self.thresholds[place] if stage is ONET else self.limits(stage, self.octaves(windows))
            passed = (scores >= limits).reshape(-1)
            if not stage.flip_pass:
                return g.concat([windows, scores, offsets, *center, places], 1).where(passed)
            sure, unsure = ((mask & passed) for mask in ((own >= FLIP_BELOW).reshape(-1),
                                                         (own < FLIP_BELOW).reshape(-1)))
            found = g.concat([windows, scores, offsets, *center, places], 1).where(sure)
            crops, windows, before, places, own, offsets, *center = (
                each.where(unsure) for each in (crops, windows, before, places, own, offsets, *center))
            count = crops.size(0)
            some = g.concat([crops, g.zeros(g.maximum(1 - count, 0), 3, stage.size, stage.size)])      # see over_crops
            flipped = g.net(stage, self.arrays[stage.name], mirror(some))[:count]
            scores, offsets = (combined(before, own, sigmoid(flipped[:, :1])),
                               (offsets + flipped[:, 1:5] @ bx.MIRROR_OFFSETS) * 0.5)
            return g.concat([found, g.concat([windows, scores, offsets, *center, places], 1)])

        width = 11 if stage is ONET else 9
        return self.over_crops(stage, self.windows(proposals[:, :4]), proposals[:, 4:5], run, width)

    def merge(self, found: Value) -> Value:
        """Found (N, 11), best first -> faces (K, 7), best first: boxes, scores, centers of the landmarks px. NMS, box
        voting, evidence, threshold."""
        g = self.g
        found = g.concat([found, g.value(NOWHERE)])            # far from all and the last, so that there is a best one
        windows, scores = found[:, :4], found[:, 4:5]
        boxes = decode(found[:, 5:9], windows)
        centers = windows[:, :2] + found[:, 9:] * (windows[:, 2:] - windows[:, :2])
        keep = self.nms(ONET, boxes, scores)
        trust = self.iou(columns(windows), columns(self.square(boxes)))
        weights = g.maximum(scores * g.op("Pow", trust, np.float32(VOTE_TRUST)), 1e-6).transpose(1, 0)  # (1, N)
        overlap = self.iou(columns(boxes), rows(boxes.take(keep)))                             # (N, K)
        kept = g.arange(keep.size(0))
        own = g.op("Equal", g.arange(boxes.size(0)).reshape(-1, 1), keep, dtype=bool)                # (N, K)
        choice = g.op("ArgMax", overlap, dtype=np.int64, axis=1, keepdims=1)
        votes = g.op("Equal", choice, kept, dtype=bool) & (overlap >= VOTE_IOU)
        is_kept = g.largest(own.cast(np.float32), 1) > 0.5                                           # votes for itself
        elected = g.where(is_kept, own.cast(np.float32), votes.cast(np.float32)).transpose(1, 0)     # (K, N)
        ballots = elected * weights
        total = g.op("ReduceSum", ballots, np.int64([1]), keepdims=1)                                # (K, 1)
        evidence = elected @ scores / VOTES_EXPECTED                                                 # (K, 1)
        scores = sigmoid((log_odds(scores.take(keep)) + g.op("Log", evidence)) * ODDS_POWER)
        faces = g.concat([(ballots / total) @ boxes, scores, centers.take(keep)], 1)
        faces = faces.take(g.argsort(scores.reshape(-1)))[:-1]
        return faces.where(faces[:, 4:5].reshape(-1) >= self.thresholds[CASCADE.index(ONET)])

    def landmarks(self, faces: Value) -> Value:
        """Landmark refinement pass: faces (N, 7) of `merge` -> (N, P, 2) px; (0, P, 2) where O-Net learned none."""
        g = self.g
        if not weights.have_landmarks(self.arrays[ONET.name]):
            return g.zeros(0, len(POINTS), 2)
        squares = self.inner(faces[:, :4], *POINTS_BOX)
        if POINTS_CENTER is not None:
            sides = squares[:, 2:] - squares[:, :2]
            corners = faces[:, 5:] - sides * np.float32(POINTS_CENTER)
            squares = g.concat([corners, corners + sides], 1)
        windows = self.windows(squares)
        first = 1 + HEADS["box"]                                       # column of the net's outputs

        def run(crops, windows, _, places):
            plain, flipped = (g.net(ONET, self.arrays[ONET.name], each)[:, first:] for each in (crops, mirror(crops)))
            flipped = flipped.take(bx.MIRROR_TAKE, 1) * np.float32(bx.MIRROR_SIGN) + np.float32(bx.MIRROR_SHIFT)
            return g.concat([(plain + flipped) * 0.5, places], 1)

        points = self.over_crops(ONET, windows, windows[:, :1], run, HEADS["landmark"]).reshape(-1, len(POINTS), 2)
        corners, ends = (part.reshape(-1, 1, 2) for part in (windows[:, :2], windows[:, 2:]))
        return points * (ends - corners) + corners

    # Crops: images.crop_scaled.

    def over_crops(self, stage: Stage, windows: Value, scores: Value, run: Callable[..., Value], columns: int) -> Value:
        """Runs a net on the crops of windows (N, 4) on whole pixels, a few at a time, those of equal size together.

        run(crops float32 (n, 3, size, size), windows (n, 4), scores (n, 1), places (n, 1)) -> (k, columns + 1): what it
        finds, the place of its window last. All of it without places (K, columns), in the order of the windows. A net
        never runs on no crops: OpenVINO 2026.4 refuses them, and in a graph of TensorFlow 2.21 a convolution that its
        optimizer fused gives the shape of its input.
        """
        g, count = self.g, windows.size(0)
        sides = windows[:, 2:3] - windows[:, :1]
        pixels = sides / self.scale_of(sides, stage.size)[0]
        order = g.argsort(pixels.reshape(-1))
        places = g.arange(count).cast(np.float32).reshape(-1, 1)
        windows, scores, places, pixels = (each.take(order) for each in (windows, scores, places, pixels))

        def chunk(_, start, found):
            most = pixels[start:start + 1].reshape()
            number = g.maximum((SAMPLED / (most * most)).cast(np.int64), 1)
            stop = start + g.minimum(number, crops_per_call(stage) // 2)
            part = [each[start:stop] for each in (windows, scores, places)]
            return stop < count, stop, g.concat([found, run(self.crops(part[0], stage.size), *part)])

        nothing = g.zeros(0, columns + 1)
        _, found = g.loop(chunk, g.value(np.int64(0)), nothing, going=count > 0)
        return found.take(g.argsort(found[:, columns:].reshape(-1), descending=False))[:, :columns]

    def scale_of(self, sides: Value, size: int) -> tuple[Value, Value]:
        """Sides of windows, float32 (N, 1) px -> how many times smaller the scale is that they are cut from, 1, 2 or 4,
        and how many times larger than the crop what is interpolated is, both float32 (N, 1)."""
        g = self.g
        times = g.largest(g.where(np.float32(POWERS) * size <= sides, g.value(np.float32(POWERS)), 1), 1)
        scale = g.minimum(times, 4)
        return scale, g.minimum(times / scale, 2 ** images.MOST_HALVINGS)

    def crops(self, windows: Value, size: int) -> Value:
        """Windows (n, 4) on whole pixels -> crops float32 (n, 3, size, size), whole numbers, black outside."""
        g = self.g
        corners, sides = windows[:, :2].cast(np.int64), windows[:, 2:3] - windows[:, :1]
        scale, times = (each.cast(np.int64) for each in self.scale_of(sides, size))
        most = g.largest(times, 0).reshape()
        step = g.arange(most * size) * times / most                                                  # (n, S)
        whole = times * scale * size
        place = in_parts((step * 2 + 1) * sides.cast(np.int64), whole * 2, images.PARTS)             # (n, S)
        place = (place - images.PARTS // 2).cast(np.float32) * (1 / images.PARTS)
        origin = (corners * images.PARTS / scale).cast(np.float32) * (1 / images.PARTS)              # (n, 2)
        place = place.reshape(-1, 1, most * size) + origin.reshape(-1, 2, 1)                         # (n, 2, S)
        first = g.op("Floor", place[:, :, :1] / UNITS) * UNITS                                       # (n, 2, 1)
        runs = (g.largest((place[:, :, -1:] - first).reshape(-1), 0).cast(np.int64).reshape() + (RUN + 1)) / RUN
        reach = runs * RUN
        pixel = first + g.arange(reach).cast(np.float32)                                             # (n, 2, reach)
        limits = (self.sides / scale).cast(np.float32).reshape(-1, 2, 1)
        inside = ((pixel >= 0) & (pixel < limits)).cast(np.float32).reshape(-1, 2, 1, reach)
        weights = self.hat(place - first, reach) * inside                                            # (n, 2, S, reach)
        row = g.minimum(g.maximum(pixel[:, 1:2], 0), limits[:, 1:2] - 1).cast(np.int64).reshape(-1, reach, 1)
        length = self.lengths.take(scale).reshape(-1, 1, 1)
        run = first[:, :1].cast(np.int64) / RUN + g.arange(runs)                                     # (n, 1, runs)
        run = g.minimum(g.maximum(run, 0), length - 1)
        patches = self.runs.take(row * length + run + self.starts.take(scale).reshape(-1, 1, 1))
        patches = patches.reshape(-1, reach, reach, 3).transpose(0, 3, 1, 2).cast(np.float32)
        crops = weights[:, 1:2] @ patches @ weights[:, :1].transpose(0, 1, 3, 2)
        return g.once(most > 1, lambda crops: self.crop_means(crops, size, most, times), rounded(crops))

    def crop_means(self, crops: Value, size: int, most: Value, times: Value) -> Value:
        """Crops (n, 3, most size, most size) -> (n, 3, size, size). times (n, 1): of these, how many differ."""
        parts = crops.reshape(-1, size, most, size, most)
        means = self.g.op("ReduceMean", parts, axes=[2, 4], keepdims=0).reshape(-1, 3, size, size)
        return round_mean(means, self.g.op("Equal", times, np.int64(2), dtype=bool).reshape(-1, 1, 1, 1))

    # Boxes: detection/boxes.py.

    def square(self, boxes: Value) -> Value:
        """Boxes (N, 4) -> squares (N, 4) of their longer side around the same centers."""
        return self.inner(boxes, 1, 0)

    def inner(self, boxes: Value, side: float, below: float) -> Value:
        """Boxes (N, 4) -> squares (N, 4) of `side` times the longer side, the center lower by `below` times it."""
        g = self.g
        longer = g.largest(boxes[:, 2:] - boxes[:, :2], 1)
        center = (boxes[:, :2] + boxes[:, 2:]) * 0.5 + longer * np.float32([0, below])
        half = longer * (side / 2)
        return g.concat([center - half, center + half], 1)

    def center(self, points: Value) -> Value:
        """Relative points (N, 2P) -> their mean (N, 2)."""
        return self.g.op("ReduceMean", points.reshape(-1, len(POINTS), 2), axes=[1], keepdims=0)

    def windows(self, boxes: Value) -> Value:
        """Boxes (N, 4) -> the square windows (N, 4) that the next net sees, on whole pixels."""
        g = self.g
        squares = self.square(boxes)
        side = squares[:, 2:3] - squares[:, :1]
        unit = g.where(side >= 192, g.value(np.float32(4)), g.where(side >= 96, g.value(np.float32(2)), 1))
        corner = g.op("Round", squares[:, :2] / unit) * unit
        side = g.maximum(g.op("Round", side / unit) * unit, 1)
        return g.concat([corner, corner + side], 1)

    def nms(self, stage: Stage, boxes: Value, scores: Value) -> Value:
        """Boxes (N, 4), scores (N, 1), best first for "minimum" -> indices (K,) of those that the net's NMS keeps."""
        if stage.overlap == "iou":
            return self.iou_nms(boxes, scores, stage.nms)
        return self.greedy_nms(self.minimum_overlap(columns(boxes), rows(boxes)) > stage.nms)

    def iou_nms(self, boxes: Value, scores: Value, threshold: float) -> Value:
        """Boxes (N, 4), scores (N, 1) -> indices (K,). OpenVINO 2026.4 suppresses at the threshold, too: 8 of 12 px in
        common are an IoU of 0.5."""
        g, above = self.g, np.nextafter(np.float32(threshold), np.float32(1))
        found = g.op("NonMaxSuppression", boxes.reshape(1, -1, 4), scores.reshape(1, 1, -1), scores.size(0).reshape(1),
                     np.float32([above]), dtype=np.int64)                                            # (K, 3)
        return found[:, 2:].reshape(-1)

    def greedy_nms(self, clash: Value) -> Value:
        """Which of N boxes, best first, overlap too much, bool (N, N) -> indices (K,) of the kept ones.

        In each round the boxes that clash with no better one stay, and those that clash with them go.
        """
        g, count = self.g, clash.size(0)
        order = g.arange(count)
        later = (clash & (order.reshape(-1, 1) < order)).cast(np.float32)                            # (N, N)

        def free(boxes):
            """(1, N): 0 where one of these boxes, (1, N), clashes with this one."""
            return (boxes @ later < 0.5).cast(np.float32)

        def round_of(_, alive, kept):
            best = alive * free(alive)
            alive = alive * (1 - best) * free(best)
            return (g.largest(alive, 1, 0) > 0.5).reshape(), alive, kept + best

        alive = order.reshape(1, -1).cast(np.float32) * 0 + 1
        _, kept = g.loop(round_of, alive, alive * 0, going=count > 0)
        return g.nonzero((kept > 0.5).reshape(-1))

    # Of boxes as four columns (N, 1) or rows (1, M) for x1, y1, x2, y2.

    def intersection(self, a: Sequence[Value], b: Sequence[Value]) -> Value:
        g = self.g
        width, height = (g.minimum(a[i + 2], b[i + 2]) - g.maximum(a[i], b[i]) for i in (0, 1))
        return g.op("Relu", width) * g.op("Relu", height)

    def area(self, a: Sequence[Value]) -> Value:
        return self.g.op("Relu", a[2] - a[0]) * self.g.op("Relu", a[3] - a[1])

    def share(self, part: Value, whole: Value) -> Value:
        return self.g.where(whole > 0, part / whole, 0)

    def iou(self, a: Sequence[Value], b: Sequence[Value]) -> Value:
        common = self.intersection(a, b)
        return self.share(common, self.area(a) + self.area(b) - common)

    def minimum_overlap(self, a: Sequence[Value], b: Sequence[Value]) -> Value:
        return self.share(self.intersection(a, b), self.g.minimum(self.area(a), self.area(b)))


def levels_may_overlap() -> bool:
    """Whether windows of two levels can have an IoU above P-Net's `nms`: it is at most the ratio of their areas, whose
    sides are rounded to whole pixels."""
    return ((PNET.size + 0.5) / (PNET.size / PYRAMID_FACTOR - 0.5)) ** 2 > PNET.nms


def columns(boxes: Value) -> list[Value]:
    """(N, 4) -> four (N, 1)."""
    return [boxes[:, i:i + 1] for i in range(4)]


def rows(boxes: Value) -> list[Value]:
    """(M, 4) -> four (1, M)."""
    return [column.transpose(1, 0) for column in columns(boxes)]


def decode(offsets: Value, windows: Value) -> Value:
    """Offsets (N, 4), windows (N, 4) px -> boxes (N, 4) px."""
    sides = windows[:, 2:] - windows[:, :2]
    return windows + offsets * sides.graph.concat([sides, sides], 1)


def sigmoid(logits: Value) -> Value:
    """As engines.Net computes it: the operator Sigmoid rounds scores near 1 otherwise, and NMS takes equal ones by
    their order."""
    return 1 / (logits.graph.op("Exp", logits * -1) + 1)


def log2(values: Value) -> Value:
    """Values above 0 -> their logarithms to the base of 2."""
    return values.graph.op("Log", values) * np.float32(np.log2(np.e))


def multiplied(scores: Value, factors: Value | np.float32) -> Value:
    """As odds.multiplied."""
    gains = scores * factors
    return gains / (gains + 1 - scores)


def log_odds(scores: Value) -> Value:
    """As odds.log_odds."""
    g = scores.graph
    clipped = g.minimum(g.maximum(scores, SURE), 1 - SURE)
    return g.op("Log", clipped / (1 - clipped))


def combined(*answers: Value) -> Value:
    """As odds.combined."""
    first, *others = (log_odds(each) for each in answers)
    return sigmoid(sum(others, first) / len(answers))


def planes(image: Value) -> Value:
    """uint8 (H, W, 3) -> float32 (3, H, W)."""
    return image.transpose(2, 0, 1).cast(np.float32)


def end_of(cells: Value) -> Value:
    """How many px of a level so many cells of P-Net's map see."""
    return cells * PNET_STRIDE + (PNET.size - PNET_STRIDE)


def neighbors(places: Value) -> list[tuple[Value, Value]]:
    """Of Cascade.places, (4, S) -> of the pixels on both sides the indices int64 (S,) and the weights (S, 1, 1)."""
    return [(places[i:i + 1].cast(np.int64).reshape(-1), places[i + 2:i + 3].reshape(-1, 1, 1)) for i in (0, 1)]


def rounded(values: Value) -> Value:
    """Rounded half up."""
    return values.graph.op("Floor", values + 0.5)


def in_parts(count: Value, unit: Value, parts: int) -> Value:
    """Whole numbers -> count / unit in 1/parts, rounded half up. Whole units and the rest are divided apart, as
    OpenVINO 2026.4 divides whole numbers as float32, which is exact up to 2 ** 24."""
    whole = count / unit
    return whole * parts + ((count - whole * unit) * parts + unit / 2) / unit


def mirror(crops: Value) -> Value:
    """(N, 3, H, W) -> flipped horizontally."""
    return crops[:, :, :, ::-1]


def round_mean(means: Value, up: Value) -> Value:
    """Means of whole numbers -> whole numbers, as OpenCV's INTER_AREA rounds: half up where `up`, else half to even."""
    return means.graph.op("Round", means + up.cast(np.float32) * (1 / 64))
