"""The changes of the training that experiments/ablation.py measures: each maps a recipe (train/recipe.py) to another.

TensorFlow is imported only where a change needs a function of its own, so that --help does not wait for it.
"""
from dataclasses import replace

BIAS_RATE = 0.02                 # learning rate that a net without batch normalization bears
BASELINE_DECAY = 0.2, 0.467, 0.667    # shares of the training: epochs 6, 14 and 20 of 30, in baseline A
SHIPPED_BOX_WEIGHT = 2.0         # weight of the box loss in the last round of the shipped weights (model/RUNS.md)


def unchanged(recipe):
    """The recipe itself, to compare with."""
    return recipe


def augmentation(**fields):
    """A change of fields of the augmentation."""
    return lambda recipe: replace(recipe, augmentation=replace(recipe.augmentation, **fields))


def losses(**fields):
    """A change of fields of the losses."""
    return lambda recipe: replace(recipe, losses=replace(recipe.losses, **fields))


def fields(**values):
    """A change of fields of the recipe itself."""
    return lambda recipe: replace(recipe, **values)


def boxes_not_mirrored(recipe):
    """Defect of both baselines: the image is mirrored, the box target is not."""
    from experiments.ablation_functions import mirror_without_offsets
    return augmentation(mirror_targets=mirror_without_offsets)(recipe)


def jpeg_crops(recipe):
    """Defect of both baselines: crops are stored as JPEG, targets with two decimals."""
    from experiments.ablation_functions import decode_jpeg
    return replace(recipe, decode=decode_jpeg)


def wide_landmark_crops(recipe):
    """Defect of both baselines: landmark crops are a pixel wider than the width that their points are divided by."""
    from experiments.ablation_functions import decode_wide_landmark_crops
    return replace(recipe, decode=decode_wide_landmark_crops)


def random_shift(recipe):
    """Crops are shifted, zoomed and rotated anew for every batch, on top of how the lists sample them."""
    from experiments.ablation_functions import move
    return augmentation(move=move)(recipe)


def label_smoothing(recipe):
    """Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7."""
    from experiments.ablation_functions import smoothed_face
    return losses(face=smoothed_face)(recipe)


def landmark_positives(recipe):
    """Landmark samples are positives of the face loss, too."""
    from experiments.ablation_functions import face_with_landmark_samples
    batch = recipe.stage.batch
    ratio = batch["negative"] / (batch["positive"] + batch["landmark"])
    return losses(face=face_with_landmark_samples, negatives_per_positive=ratio)(recipe)


def heavier_box_loss(recipe):
    """The weight of the box loss in the last round of the shipped weights."""
    return losses(weights={**recipe.losses.weights, "box": SHIPPED_BOX_WEIGHT})(recipe)


def no_batch_normalization(recipe):
    """As both baselines: biases instead, at a learning rate that they bear."""
    from experiments.ablation_functions import Bias
    return replace(recipe, norm=Bias, learning_rate=BIAS_RATE)


def baseline_training(recipe):
    """The training of baseline A on these samples: its defects, only mirroring as augmentation, rate in steps."""
    from experiments.ablation_functions import decode_as_baseline
    for change in (augmentation(blur_share=0.0, noise_share=0.0, color_jitter=0.0, random_erasing=0.0),
                   losses(negatives_per_positive=1.0, giou=0.0), boxes_not_mirrored, no_batch_normalization,
                   fields(decode=decode_as_baseline, decay_at=BASELINE_DECAY)):
        recipe = change(recipe)
    return recipe


CHANGES = {
    "none": unchanged,
    "training of baseline A": baseline_training,
    "no batch normalization": no_batch_normalization,
    "boxes not mirrored": boxes_not_mirrored,
    "no color jitter": augmentation(color_jitter=0.0),
    "crops through JPEG": jpeg_crops,
    "wide landmark crops": wide_landmark_crops,
    "same order every epoch": fields(reshuffle=False),
    "random shift, zoom and rotation": random_shift,
    "learning rate in steps": fields(decay_at=BASELINE_DECAY),
    "no blur and noise": augmentation(blur_share=0.0, noise_share=0.0),
    "no random erasing": augmentation(random_erasing=0.0),
    "all face losses": losses(hard_share=1.0),
    "hardest half of the face losses": losses(hard_share=0.5),
    "no weight decay": losses(weight_decay=0.0),
    "no logit adjustment": losses(negatives_per_positive=1.0),
    "landmark samples as positives": landmark_positives,
    "batches of 768": fields(batch_size=768),
    "weight averaging": fields(average=0.999),      # Polyak, Juditsky, "Acceleration of Stochastic Approximation", 1992
    "label smoothing": label_smoothing,
    "no GIoU loss": losses(giou=0.0),
    "four times the weight of the box loss": heavier_box_loss,
    "bfloat16": fields(precision="mixed_bfloat16"),
}
