"""The recipe of a training: every setting that decides its weights besides the records, as one value.

`standard` makes it from config.py; train.py, and everything below it, reads settings from the recipe alone. So a change
is a copy with other fields, whatever was imported before:

    replace(recipe, epochs=2, losses=replace(recipe.losses, giou=0.0))

Fields that hold functions are there to be replaced, too, by another function of the same form.
"""
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from config import (
    DECAY,
    LAST_AVERAGE,
    LAST_EPOCHS,
    LAST_GIOU,
    LAST_RATE,
    LAST_WEIGHTS,
    MOMENTUM,
    SEED,
    WARM_UP,
    Stage,
)
from detection.quiet_tensorflow import tf
from pipeline.settings import plain
from preprocess import records
from train import losses
from train.augment import Augmentation, robust
from train.layers import Norm
from train.losses import Losses

# The fields that manifests always hold, as train.py has options for them.
OPTIONS = ("seed", "epochs", "batch_size", "learning_rate", "decay_at", "precision")


def unchanged(*batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """A batch -> itself: each crop has its label already."""
    return batch


@dataclass(frozen=True)
class Recipe:
    """How one net is trained. Of `stage`, only size, name, layers and batch are read; the rest has fields here."""
    stage: Stage
    epochs: int
    learning_rate: float                    # the highest
    precision: str                          # of the arithmetic: Keras' dtype policy, or "auto" (train/precision.py)
    augmentation: Augmentation
    losses: Losses
    seed: int = SEED
    batch_size: int = 384
    decay_at: tuple[float, ...] = ()        # shares of the training at which the rate falls; none: cosine decay
    decay: float = DECAY                    # of the rate, at each of decay_at
    warm_up: float = WARM_UP                # share of the training
    momentum: float = MOMENTUM
    average: float | None = None            # momentum of a moving average, which replaces the weights at the end
    norm: type[Norm] = Norm                 # what stands between a layer and its PReLU while the net trains
    decode: Callable[..., tuple] = records.decode      # (serialized, size) -> images, labels, offsets, points
    label: Callable[..., tuple] = unchanged # the four, augmented -> the four with a row for each answer of the net
    reshuffle: bool = True                  # for each epoch; False: every epoch has the batches of the first
    image_share: float = 1.0                # of the images, landmark images aside, whose samples are used
    init_from: Path | None = None           # weights to start from; None: random weights
    teacher: Path | None = None             # weights whose answers soften the targets

    def options(self) -> dict[str, Any]:
        """Name -> JSON value, for the manifest: OPTIONS, and whatever differs from the standard recipe of the stage, as
        that follows from config.py; functions and classes by name. The files init_from and teacher are inputs."""
        standard_fields = _flat(standard(self.stage))
        return {name: value for name, value in _flat(self).items()
                if name in OPTIONS or value != standard_fields[name]}


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """A dataclass of settings -> name of a field, "losses.giou" for one of a dataclass in it, -> JSON value."""
    result = {}
    for field in fields(settings):
        name, value = prefix + field.name, getattr(settings, field.name)
        if is_dataclass(value) and not isinstance(value, Stage):
            result.update(_flat(value, f"{name}."))
        elif callable(value):
            result[name] = f"{value.__module__}.{value.__qualname__}"
        elif field.name not in ("stage", "init_from", "teacher"):
            result[name] = plain(value)
    return result


def standard(stage: Stage) -> Recipe:
    """The stage's own recipe, from config.py."""
    return Recipe(stage, stage.epochs, stage.learning_rate, stage.precision,
                  Augmentation(stage.color_jitter, stage.random_erasing),
                  Losses(stage.loss_weights, stage.giou, stage.negatives_per_positive))


def last_round(stage: Stage) -> Recipe:
    """The recipe for --last-round: short and gentle, for trained weights, with the augmentation of --robust. Its
    losses ask for what detection is judged by: a window is a face where the net's own box fits one, boxes shall have a
    high IoU, landmarks a short distance."""
    first = standard(stage)
    weights = {head: LAST_WEIGHTS.get(head, weight) if head in stage.heads else weight
               for head, weight in first.losses.weights.items()}
    changed = replace(first.losses, face=losses.face_of_box, landmark=losses.landmark_distance, giou=LAST_GIOU,
                      weights=weights)
    return replace(first, epochs=LAST_EPOCHS, learning_rate=LAST_RATE * stage.learning_rate, average=LAST_AVERAGE,
                   augmentation=robust(first.augmentation), losses=changed)
