"""Fits the landmark head of a trained O-Net anew, all else frozen: the faces found stay the same to the bit.

reads    <data>/trainImageList.txt and its images; the sets in <data>/sets whose labels have points; the weights FILE
writes   <out>: the same weights with another landmark head

    python train/landmark_head.py model/onet.npz --out model/onet.npz

The head is one matrix from the last features to the points. Training fits it to the squared error in the windows of the
lists, beside two other losses. Here it is fitted to what evaluate/landmarks.py measures, the distances as a share of
that between the first two points, in windows like those of the landmark refinement pass: shifted and scaled as boxes
found differ from labeled ones, with the plain augmentation. It is a least-squares problem for the features once
computed, solved a few times with other weights, so that a few bad labels do not decide.

Held-out images (preprocess/samples.py) are left out and judged by: their error in such windows is printed before and
after, and nothing is written unless it falls, as it does not with too few images.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from config import DATA, HEADS, LANDMARK, LEAST_DISTANCE, ONET, SEED
from detection import UserError, images, weights
from detection import boxes as bx
from detection.errors import run_main
from pipeline.problems import Problems
from preprocess import labels, samples
from preprocess.labels import AnnotatedImage, landmark_sets, landmarks, sets

WINDOWS = 4, 12                 # of a face of the list, of a set: LFW and Net alone have 9,987 of them, and sets differ
SHIFT = 0.07, 0.04              # of the side: standard deviation of a window's center from that of a labeled face, as
SCALE = 0.08                    # found by the box on 496 held-out images of LFW and Net; of the logarithm of its side:
                                # [ours]. Found by the points it is 0.02, but the head also gives those (RUNS.md)
BATCH = 512                     # windows that are augmented and seen by the net at a time: [ours]
NEAR = 0.01                     # of that distance: closer points weigh no more, as labels are no more precise: [ours]
ROUNDS = 6                      # of least squares, each with the weights of the one before: [ours]
RIDGE = 1e-4                    # times the mean square of a feature, for a change of its weight: [ours]


def windows(rng: np.random.Generator, face: np.ndarray, count: int) -> np.ndarray:
    """Labeled square (4,) px -> windows (count, 4) about it, on whole pixels."""
    side = bx.longer_side(face[None])[0]
    center = (face[:2] + face[2:]) / 2 + rng.normal(0, SHIFT, (count, 2)) * side
    half = side / 2 * np.exp(rng.normal(0, SCALE, (count, 1)))
    return bx.windows(np.hstack([center - half, center + half]).astype(np.float32))


def crops(data: Path, image: AnnotatedImage, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One image -> crops uint8 (N, size, size, 3) of its faces' windows, relative points (N, 2P), NaN where a point is
    not labeled. UserError where it cannot be read or its faces lie outside."""
    pixels = images.read(data / image.path)
    labels.require_inside(image, pixels.shape[1], pixels.shape[0])
    scales = images.half_scales(pixels)
    rng = samples.rng("landmark head", image.path, seed)
    of_list = image.points_box is None
    count = WINDOWS[0] if of_list else WINDOWS[1]
    chosen = np.concatenate([windows(rng, face, count)
                             for face in (image.boxes if of_list else bx.inner(image.boxes, *image.points_box))])
    return (images.crop_scaled(scales, chosen, ONET.size),
            bx.encode_points(np.repeat(image.points, count, axis=0), chosen))


def features(arrays: dict[str, np.ndarray], data: Path, annotated: list[AnnotatedImage], seed: int, problems: Problems
             ) -> tuple[np.ndarray, np.ndarray]:
    """Weights of an O-Net, images -> its last features in their windows, float32 (N, F), relative points (N, 2P).
    Images that cannot be used are added to the problems; UserError where that is all of them."""
    from detection.quiet_tensorflow import keras, tf
    from train import nets
    from train.augment import augment
    from train.recipe import standard
    net = nets.build(ONET, folded=True)
    nets.assign(net, ONET, arrays)
    trunk = keras.Model(net.inputs, net.get_layer("landmark").input)
    settings = standard(ONET).augmentation

    @tf.function
    def see(batch, points, seed):
        count = tf.shape(batch)[0]
        batch, _, _, points = augment(batch, tf.fill([count], tf.constant(LANDMARK, tf.int64)), tf.zeros([count, 4]),
                                      points, seed, settings)
        return trunk(batch, training=False), points

    result, waiting = [], []

    def process(rest):
        batch, points = (np.concatenate(arrays) for arrays in zip(*waiting))
        while len(batch) >= (1 if rest else BATCH):
            seen = see(batch[:BATCH], points[:BATCH], np.array([seed, len(result)], np.int64))
            result.append([value.numpy() for value in seen])
            batch, points = batch[BATCH:], points[BATCH:]
        waiting[:] = [(batch, points)]

    for image in annotated:
        try:
            waiting.append(crops(data, image, seed))
        except UserError as error:
            problems.add(str(error))
            continue
        if sum(len(batch) for batch, _ in waiting) >= BATCH:
            process(rest=False)
    if not waiting:
        raise UserError(f"{data}: none of {len(annotated)} images with points can be used ("
                        f"{problems.examples[-1]}); correct them and run this again")
    process(rest=True)
    values, points = (np.concatenate(arrays) for arrays in zip(*result))
    return values, points


def bases(targets: np.ndarray) -> np.ndarray:
    """Relative points (N, 2P) -> (N,): the distance between the first two; LEAST_DISTANCE where that is less, or where
    one of them is not labeled."""
    return np.fmax(np.linalg.norm(targets[:, 2:4].astype(float) - targets[:, :2], axis=1), LEAST_DISTANCE)


def distances(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Relative points, their targets (N, 2P) -> (N, P): distances as a share of that between the first two targets, at
    least LEAST_DISTANCE; NaN where a target is not labeled."""
    pairs, found = (array.reshape(len(array), -1, 2).astype(float) for array in (targets, points))
    return np.linalg.norm(found - pairs, axis=2) / bases(targets)[:, None]


def fit(values: np.ndarray, targets: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Features (N, F), targets (N, 2P), the head (F + 1, 2P) with its biases in the last row -> the head with the least
    mean of `distances` there, drawn to the start a little.

    Iteratively reweighted least squares: a squared error divided by the distance of the round before is the distance.
    """
    values, head = np.hstack([values, np.ones((len(values), 1), np.float32)]), start.astype(float)
    targets = targets.astype(float)
    scale = bases(targets)
    for _ in range(ROUNDS):
        away = distances(values @ head, targets)                                                # (N, P)
        weight = 1 / scale[:, None] ** 2 / np.hypot(away, NEAR)
        for point in range(away.shape[1]):
            labeled = np.isfinite(away[:, point])
            if not labeled.any():
                continue
            columns = slice(2 * point, 2 * point + 2)
            weighted = values[labeled] * weight[labeled, point, None]
            square = weighted.T @ values[labeled]
            ridge = RIDGE * np.trace(square) / len(square) * np.diag(np.append(np.ones(len(square) - 1), 0.0))
            head[:, columns] = np.linalg.solve(square + ridge, weighted.T @ targets[labeled, columns]
                                               + ridge @ start[:, columns])
    return head


def main(args: argparse.Namespace) -> None:
    arrays = weights.read(args.file, ONET)
    if not weights.have_landmarks(arrays):
        raise UserError(f"{args.file}: was trained without landmarks, so its features are not for them; name other "
                        "weights")
    annotated, _ = landmark_sets.training(args.data)
    held = [image for image in annotated if samples.held_out(image.path)]
    if not held or len(held) == len(annotated):
        raise UserError(f"{args.data}: holds {len(annotated)} images with points, too few to keep some of them for "
                        f"validation; {landmarks.TRAIN_LIST} or a set in {sets.SETS}/ must name more")
    kept = [image for image in annotated if not samples.held_out(image.path)]
    start = np.vstack([arrays["landmark/weights"].reshape(-1, HEADS["landmark"]), arrays["landmark/biases"]])
    problems = Problems()
    kept_values, kept_targets = features(arrays, args.data, kept, args.seed, problems)
    fitted = len(kept) - problems.count
    values, targets = features(arrays, args.data, held, args.seed, problems)
    judging = len(annotated) - problems.count - fitted
    problems.report(len(annotated), "images", args.data)
    head = fit(kept_values, kept_targets, start)
    errors = {}
    for name, each in (("before", start), ("after", head)):
        away = distances(values @ each[:-1] + each[-1], targets)
        errors[name] = float(np.nanmean(away))
        print(f"{name}: mean error {errors[name]:.2%} in {len(away):,} windows of {judging:,} held-out images")
    if errors["after"] >= errors["before"]:
        raise UserError(f"{args.data}: its {fitted:,} images do not lower the error of held-out images, so nothing "
                        "is written; more images with points would")
    arrays["landmark/weights"] = head[:-1].reshape(arrays["landmark/weights"].shape).astype(np.float32)
    arrays["landmark/biases"] = head[-1].astype(np.float32)
    weights.write_arrays(args.out, arrays)
    print(f"{args.out}: a landmark head from {fitted:,} images")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path, metavar="FILE", help="trained weights of O-Net")
    arguments.add_argument("--data", type=Path, default=DATA, metavar="DIR",
                           help="images and annotations, only read (default: data/)")
    arguments.add_argument("--out", type=Path, required=True, metavar="FILE",
                           help="where the weights are written; may be FILE")
    arguments.add_argument("--seed", type=int, default=SEED, help=f"of all random numbers (default: {SEED})")
    run_main(main, arguments.parse_args())
