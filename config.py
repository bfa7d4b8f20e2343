"""Every path and number of the toolkit, each with its source. Data only: no function, no import of ours.

Sources: [paper] Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE SPL 2016, and the authors' published code; [A] AITTSMD/MTCNN-Tensorflow; [L]
LeslieZhoa/tensorflow-MTCNN; [WIDER] the WIDER FACE data set; [ours] chosen here, with the reason beside it.
"""
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
DATA = ROOT / "data"         # images and annotations go in; lists and TFRecords are written below it
MODEL = ROOT / "model"       # trained weights
PICTURE = ROOT / "picture"   # the images test.py reads by default
OUTPUT = ROOT / "output"     # what test.py draws
GRAPH = ROOT / "graph"       # TensorBoard logs

FORMAT = 3                   # version of lists, records and checkpoints; a change makes older ones stale
SEED = 0


# --- Nets -----------------------------------------------------------------------------------------------

class Conv(NamedTuple):
    """A k x k convolution without padding, with bias and a PReLU per channel."""
    kernel: int
    channels: int


class Pool(NamedTuple):
    """k x k max pooling; `pad_end` keeps the last, incomplete window (TensorFlow's SAME for these sizes)."""
    kernel: int
    stride: int
    pad_end: bool


class Dense(NamedTuple):
    """A fully connected layer with bias and a PReLU per unit."""
    units: int


@dataclass(frozen=True)
class Stage:
    """One net of the cascade, with all that differs between 12, 24 and 48."""
    size: int                       # side of its input, px
    name: str                       # its weights are model/<name>.npz
    layers: tuple                   # the trunk; the heads follow
    parameters: int                 # with five points
    batch: dict                     # record set -> samples of it in one batch
    epochs: int
    learning_rate: float            # of SGD, at its highest
    loss_weights: dict              # head -> weight in the sum of losses
    threshold: float                # of the face score, when detecting
    nms: float                      # overlap above which the box of the lower score is suppressed
    mining_threshold: float         # of the face score, when this net mines for the next
    benchmark_threshold: float      # of the face score, on the public benchmarks
    heads: tuple = ("face", "box")  # that detection uses; all are trained
    overlap: str = "iou"            # measure of `nms`: "iou", or "minimum": intersection over the smaller area
    flip_pass: bool = False         # the net also sees flipped the windows that pass its threshold
    part_iou: float = 0.3           # at least, of a part with the square of the best face
    giou: float = 0.1               # times 1 - GIoU beside the squared error of a box
    random_erasing: float = 0.0     # share of the training samples of which a rectangle is hidden
    negatives_per_positive: float = 1.0     # of the training batches; scores are corrected to 1 (logit adjustment)
    color_jitter: float = 1.0       # strength of JITTER and GRAY_SHARE
    precision: str = "float32"      # of training, as train.py --precision; model/README.md


FACIAL_POINTS = ("left eye", "right eye", "nose", "left mouth", "right mouth")      # as seen; mouth: corners: [paper]
POINTS = FACIAL_POINTS              # what the nets find, in the order of lists and results; others: docs/mtcnn.md
MIRROR_ORDER = (1, 0, 2, 4, 3)      # which of POINTS, counted from 0, each becomes in a mirror
POINTS_BOX = 0.69, 0.06             # the box of a face in the landmark lists, in sides of the square that is detected:
                                    # side, how far its center is below; medians of the train images: [ours]
POINTS_CENTER = (0.5, 0.5) if POINTS == FACIAL_POINTS else None     # the mean of the points, in sides of that box from
                                    # its upper left corner; None: points say too little about where the box is: [ours]

HEADS = {"face": 2, "box": 4, "landmark": 2 * len(POINTS)}      # outputs a window: [paper]
POSITIVE, PART, NEGATIVE, LANDMARK = 1, -1, 0, -2                # label values: [A], [L]
KINDS = {"positive": POSITIVE, "part": PART, "negative": NEGATIVE, "landmark": LANDMARK}

# Layers, sizes and loss weights: [paper]. Batch 384 as 1:1:1:3: [A]. Parts from an IoU of 0.4: [paper]; from 0.3 where
# boxes must be learnt from windows that lie as far off as those of the net before, GIoU: [ours]. Epochs and learning
# rates: [ours], see model/README.md; [A] has 30, 22 and 22 epochs at 0.001. The fully connected layers carry
# PReLU as in [paper] ([A] and [L] have ReLU there), hence 128 and 256 parameters more than theirs.
PNET = Stage(
    size=12, name="pnet", parameters=6_962,
    layers=(Conv(3, 10), Pool(2, 2, True), Conv(3, 16), Conv(3, 32)),
    batch={"imglist": 384}, epochs=14, learning_rate=0.1, loss_weights={"face": 1.0, "box": 0.5, "landmark": 0.5},
    threshold=0.6, nms=0.7, mining_threshold=0.3, benchmark_threshold=0.5, part_iou=0.4, giou=0.0, color_jitter=0.375)
RNET = Stage(
    size=24, name="rnet", parameters=101_340 + 128,
    layers=(Conv(3, 28), Pool(3, 2, True), Conv(3, 48), Pool(3, 2, False), Conv(2, 64), Dense(128)),
    batch={"positive": 64, "part": 64, "negative": 192, "landmark": 64}, epochs=12, learning_rate=0.05,
    loss_weights={"face": 1.0, "box": 0.5, "landmark": 0.5},
    threshold=0.7, nms=0.7, mining_threshold=0.08, benchmark_threshold=0.5, random_erasing=0.1,
    negatives_per_positive=3.0)
ONET = Stage(
    size=48, name="onet", parameters=388_784 + 256,
    layers=(Conv(3, 32), Pool(3, 2, True), Conv(3, 64), Pool(3, 2, False), Conv(3, 64), Pool(2, 2, True),
            Conv(2, 128), Dense(256)),
    batch={"positive": 64, "part": 64, "negative": 192, "landmark": 64}, epochs=6, learning_rate=0.02,
    loss_weights={"face": 1.0, "box": 0.5, "landmark": 1.0},
    threshold=0.7, nms=0.7, mining_threshold=0.1, benchmark_threshold=0.3, random_erasing=0.1,
    heads=("face", "box", "landmark"), overlap="minimum", flip_pass=True, precision="auto")
CASCADE = (PNET, RNET, ONET)
STAGES = {stage.size: stage for stage in CASCADE}

PRELU_INIT = 0.25                   # [paper]
HEAD_INIT = 0.01                    # standard deviation of the heads' first weights: [ours]
NORM_MOMENTUM, NORM_EPSILON = 0.99, 1e-3    # of the batch normalizations while training: Keras' own
PIXEL_MEAN, PIXEL_SCALE = 127.5, 1 / 128     # input = (pixel - mean) * scale: [paper]

# --- Detection ------------------------------------------------------------------------------------------

MAX_PIXELS = 1 << 28                # of a picture file, unless OPENCV_IO_MAX_IMAGE_PIXELS says so: [ours], 0.8 GB
MIN_FACE_SIZE = 20                  # px: [paper]
PYRAMID_FACTOR = 0.709              # sqrt(1/2), from one level to the next: [paper]'s code
PNET_BORDER = 6                     # px of a pyramid level, even, by which a window of P-Net may leave the image; half
                                    # of its side: [ours]
PNET_STRIDE = 2                     # px of a pyramid level between neighbouring cells of P-Net's map
FLIP_BELOW = 0.99                   # O-Net's own score of a window, below which it also sees it flipped: [ours]
VOTE_IOU = 0.5                      # with a face found; windows that near vote on its box: [ours]
VOTE_TRUST = 4                      # power of the IoU of a window and its box's square, in its vote's weight: [ours]
VOTES_EXPECTED = 0.5                # sum of the scores of a box's voters that leaves its score as it is: [ours]
ODDS_POWER = 0.5                    # of a face's odds, in its score; below 1 it tells apart the scores near 1, which
                                    # [wider]'s 1,000 thresholds do not: [ours]
SURE = 1e-5                         # a net's scores count as this far from 0 and 1 at least: [ours]
LEVEL_NMS = 0.5                     # IoU, within one pyramid level: [paper]'s code
SIZE_ODDS = 3.0, 1.0                # times the odds of the thresholds of P-Net and R-Net, for the smallest windows; and
SIZE_FALL, SIZE_OCTAVES = (0.45, 0.65), 2   # times that for each octave of larger ones, as many at most: few windows
                                    # are large, and of large faces the more count: [ours]
BOTTOM_ODDS = 1 / 3                 # of the odds of P-Net's threshold, in windows that the bottom border cuts: [ours]
SUPPORT_CELLS = 5, 5                # of P-Net's map, around a window's; their mean score must reach
SUPPORT, SUPPORT_FALL = 0.4, 0.12   # of P-Net's threshold, on the first level, and less of it per octave: [ours]
LIT = 144                           # of 255: a channel whose brightest 16 x 16 px have a lower mean is multiplied until
MOST_LIGHT = 8.0                    # they have it, at most by this factor: [ours]
PYRAMID_STRIP = 1 << 17             # px of the packed pyramid in one call of P-Net; its maps stay in the cache: [ours]
NET_PIXELS = 64 * 24 * 24           # px of the crops in one call of R-Net or O-Net, for the same reason: [ours]
BENCHMARK_MIN_FACE = {"wider": 12, "landmarks": 24, "fddb": 20}  # px; with the stages' benchmark_threshold, this is
                                    # the setting in which users re-measured [paper]'s weights on WIDER FACE: [ours]
CROPS = 1024                        # held at a time, so that thousands of windows cost no memory: [ours]

# --- Samples --------------------------------------------------------------------------------------------

POSITIVE_IOU = 0.65                 # at least; with the square of the best face: [paper], square: [ours]
NEGATIVE_IOU = 0.3                  # below: [paper]
MIN_TRUTH_SIZE = 12                 # px, the longer side; a smaller face is neither truth nor background: [ours]
MIN_MEASURED_SIZE = 20              # px, the shorter side; of the faces that recall is measured on: [ours]

NEGATIVES_PER_IMAGE = 200           # step 1: [ours]; 50 [A], [L], with five times the images
NEGATIVE_ROUNDS = 20                # step 1: rounds of as many tries after which a crowded image stays short: [ours]
NEAR_NEGATIVE_TRIES = 5             # step 1, a face: [A], [L]
POSITIVE_TRIES = 60                 # step 1, a face: [ours]; 20 [A], [L]
CROP_SIDE = (0.8, 1.25)             # of min(w, h) and of max(w, h): bounds of a positive crop's side: [A], [L]
CROP_SHIFT = 0.2                    # of w and of h: bound of a positive crop's center shift: [A], [L]
LANDMARK_TRIES = 10                 # step 2, a face: [A], [L]
LANDMARK_MIN_FACE = 40              # px: smaller faces give only their own box: [A], [L]
ROTATION = 5.0                      # degrees, both ways: [A], [L]
PNET_BASE = 250_000                 # step 3: positives at most: [A], [L]
PNET_RATIO = {"positive": 1, "part": 1, "negative": 3}   # step 3: [A], [L]
PNET_LANDMARKS = 1                  # step 3: landmark samples a positive, at most: [ours], near a full run's share
MINED_NEGATIVES = 60 * 12_880       # steps 6 and 10: [A], [L] on all of WIDER FACE; fewer images give more each,
MINED_NEGATIVES_PER_IMAGE = 60, 300  # at least and at most per image, those of the highest score: [A], [L]; [ours]
MINING_MIN_FACE = 12                # px, minimum face size of mining, that of the benchmarks; mined at 14, R-Net and
                                    # O-Net never saw a smaller negative (model/RUNS.md): [ours]
RANDOM_CROPS = 500_000              # steps 6 and 10: crops around all faces, sampled as in step 1: [ours]
RANDOM_CROPS_PER_FACE = 10, 40      # of those, at least and at most: the fewer faces, the more of each: [ours]
RANDOM_ROTATION = 15.0              # degrees, both ways, of half of them: [ours]

TILE = 64                           # px, side of the parts of pyramid levels that P-Net can also train on: 729 windows
TILE_FACES = 32                     # in a tile at most; tiles with more are left out: [ours]
TILES_OF_FACES = 5, 3, 20           # tiles of an image around faces: so many, so many for each face, at most: [ours]
TILES_OF_BACKGROUND = 8             # tiles of an image anywhere: [ours]
TILE_ZOOM = 0.45                    # octaves by which the face of a tile may differ from the window: [ours]
TILE_LEVEL = 2.5                    # mean level of a tile of background; half of all windows are on the first: [ours]
TILE_BORDER_CUT = 0.2               # share of the tiles around faces that a black edge cuts, as borders do: [ours]
BORDER_VISIBLE = 0.35, 0.9          # of the width or height of a face that a border leaves, at least and most: [ours]

LOW_RECALL = 0.9                    # of the faces, at IoU 0.5, below which mining and evaluating warn: [ours]
MAX_CROP = 4                        # times the image's longer side; a crop beyond it comes from a wrong list: [ours]
BAD_SHARE = 0.05                    # of lines or images that may be skipped before a step gives up: [ours]
HELD_OUT_SHARE = 0.05               # of the train images, kept for validation while training: [ours]
HELD_OUT_LEAST = 5                  # images with each kind of sample among them, or the next is as large a share of
HELD_OUT_MOST = 0.2                 # the images with that kind, where they are few: [ours]
SHORT_SHARE = 0.25                  # of its fair share, below which a kind of sample is called short: [ours]
IMAGES_PER_PART = 32                # images processed between two saves of a list step: [ours]
MAX_PARTS = 100_000                 # files in one folder of parts; then parts of more images: [ours]
RAY_AHEAD = 4                       # tasks at once for each core of a Ray cluster, so that none idles: [ours]
MIN_SHARDS, MAX_SHARDS = 16, 512    # groups of shards: work for several processes; files open at once: [ours]
SHARD_BYTES = 48 << 20              # pixels in one group of shards; what a worker holds in memory: [ours]

# --- Training -------------------------------------------------------------------------------------------

WARM_UP = 0.05                      # of all steps, in which the rate rises from 0: [ours]
MOMENTUM = 0.9                      # of SGD, Nesterov's: [A], [ours]
DECAY = 0.1                         # of the rate, where it falls in steps: [A]
WEIGHT_DECAY = 0.0005               # times half the squared weights, biases and slopes left out: [A]
HARD_SHARE = 0.7                    # of the face losses of a batch, the highest, are averaged: [paper]
JITTER = {"brightness": 32.0, "contrast": 0.3, "saturation": 0.8,   # gray levels; shares: [ours], near [A]'s
          "tint": 24.0}                                            # gray levels, of each channel: [ours]
GRAY_SHARE, BLUR_SHARE, NOISE_SHARE = 0.2, 0.08, 0.1     # of the samples: [ours]
NOISE = 10.0                        # gray levels, the standard deviation at most: [ours]
NOISE_TILES = 256                   # different patterns of it: [ours]
ERASED_SIDE = (0.2, 0.5)         # of the crop's side: [ours]
TILE_BATCH = {"face": 60, "background": 36}      # tiles with and without a positive in one batch: [ours]
TILE_EPOCHS, TILE_RATE = 8, 0.03    # of the training on tiles; rate as of later rounds: [ours]
TILE_HARD_SHARE = 0.1               # of the negatives of a batch of tiles, those of the highest loss: [ours], about the
                                    # share of windows that P-Net lets through
TILE_AVERAGE = 0.998                # momentum of the moving average of the weights: [ours]
ROBUST = {"permuted_share": 0.15, "exposed_share": 0.2, "blur_share": 0.09, "blur": 0.06, "noise_share": 0.09,
          "noise": 25.0, "jpeg_share": 0.04, "border_cut": 0.125}     # --robust: shares of the samples, the blur in the
                                    # crop's sides, the noise in gray levels, at most; model/RUNS.md: [ours]
EXPOSURE = 0.2, 2.0                 # times all values of an exposed sample, at least and at most: [ours]
JPEG_QUALITY = 5, 50                # of a compressed sample, at least, below: [ours]
TEACHER_SHARE = 0.6                 # of the face loss, what the teacher's scores give, times TEACHER_WEIGHT: [ours]
TEACHER_WEIGHT = 3.0                # as its cross-entropy less the entropy is far smaller than that of labels: [ours]
TEACHER_TARGETS = 0.5               # share of the teacher's answer in the targets of boxes and landmarks: [ours]
OWN_BOX_IOU = 0.4, 0.6              # --last-round: IoU from which, and at which fully, a window is a face: [ours]
LAST_EPOCHS, LAST_RATE = 3, 0.3     # --last-round: the rate as a share of the stage's: [ours]
AVERAGE_SHARE = 0.2                 # of a training: no moving average of the weights reaches further back: [ours]
LAST_AVERAGE = 0.998                # --last-round: momentum of the moving average of the weights: [ours]
LAST_GIOU = 1.0                     # --last-round: of the box loss, times (1 - GIoU): [ours]
LAST_WEIGHTS = {"box": 1.0, "landmark": 4.0}    # --last-round: of the losses of a net that has the head: [ours]
LEAST_DISTANCE = 0.15               # of a window's side, between the first two landmarks, as the unit of errors; less
                                    # in profiles: [ours]
SHUFFLE_BYTES = 96 << 20            # pixels in the shuffle buffers of one stage: [ours]
LOSS_LIMIT = 1e6                    # of a batch; training that gives more has gone astray: [ours]
CHECKPOINT_SECONDS = 60             # between two checkpoints: [ours]
