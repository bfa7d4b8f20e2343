"""The training loop of one net: one explicit step, checkpoints, validation, logs.

A checkpoint holds all that the next step depends on: weights, momentum, position, the sums of the epoch so far. Batches
follow from their position (batches.py), so a training that was stopped and resumed ends in the same bits as one that
was not.
"""
import csv
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from config import AVERAGE_SHARE, CHECKPOINT_SECONDS, LOSS_LIMIT
from detection import weights
from detection.errors import HeldInterruptions, UserError
from detection.quiet_tensorflow import keras, tf
from pipeline.step import write_text
from preprocess.records import Records
from train import batches, losses, nets, replicas
from train.recipe import Recipe

REPORTED = ("total", "face", "box", "landmark", "accuracy")


NOWHERE = -1       # value of Training.failed_at while no batch of the epoch has failed


def schedule(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate by step: from the recipe's down to 0 along a half cosine, after a warm-up over a share of the
    `steps`. With decay_at, as in the baselines: no warm-up, times `decay` at each of these shares of all steps."""
    rate = recipe.learning_rate
    if recipe.decay_at:
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            [max(round(share * steps) - 1, 0) for share in recipe.decay_at],
            [rate * recipe.decay ** i for i in range(len(recipe.decay_at) + 1)])
    warm_up = max(round(recipe.warm_up * steps), 1)
    falling = max(steps - warm_up, 1)
    return keras.optimizers.schedules.CosineDecay(0.0, falling, warmup_target=rate, warmup_steps=warm_up)


def optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """SGD with Nesterov's momentum over `steps`; with recipe.average it also keeps a moving average of the weights.

    That starts at the first weights, so a short training averages fewer steps (at least two), lest much of them stay.
    """
    average = {} if recipe.average is None else {
        "use_ema": True, "ema_momentum": min(recipe.average, max(1 - 1 / (AVERAGE_SHARE * steps), 0.5))}
    return keras.optimizers.SGD(schedule(recipe, steps), recipe.momentum, nesterov=True, **average)


def judged(row: Mapping[str, float], stored: Records) -> float:
    """The loss by which the best epoch is chosen, of a row of the log: the validation loss, if the held-out samples are
    of all kinds that train; else, which favors late epochs, that of training."""
    return row.get("validation_total", row["total"]) if stored.validates else row["total"]


class Training:
    """One net in training. folder: where its checkpoint, best weights and log.csv are kept. graph: folder of the
    TensorBoard logs. strategy: of tf.distribute, where the training is not on one device."""

    def __init__(self, recipe: Recipe, stored: Records, folder: Path, graph: Path,
                 strategy: tf.distribute.Strategy | None = None):
        self.recipe, self.stage, self.stored = recipe, recipe.stage, batches.part_of(stored, recipe.image_share)
        self.per_batch = batches.composition(recipe.stage, self.stored.counts, recipe.batch_size)
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint, self.best, self.log = (folder / name for name in ("checkpoint.npz", "best.npz", "log.csv"))
        self.graph, self.chief = graph, replicas.is_chief()     # the chief alone writes
        self.strategy = strategy or tf.distribute.get_strategy()
        self.share = replicas.Share(self.strategy, sum(self.per_batch.values()))
        self.steps = batches.steps_per_epoch(self.stored.counts, self.per_batch)
        self.has_validation = any(self.stored.counts[f"{name}-validation"] for name in self.per_batch)
        initial = weights.read(recipe.init_from, recipe.stage) if recipe.init_from else None
        self.teacher = None
        with self.strategy.scope():
            self.model = nets.build(recipe.stage, recipe.seed, norm=recipe.norm)
            self.optimizer = optimizer(recipe, recipe.epochs * self.steps)
            self.optimizer.build(self.model.trainable_variables)
            if recipe.teacher:
                self.teacher = nets.build(recipe.stage, folded=True)
                nets.assign(self.teacher, recipe.stage, weights.read(recipe.teacher, recipe.stage))
        if initial is not None and not self.checkpoint.is_file():
            nets.assign(self.model, recipe.stage, initial)
            nets.settle(self.model, next(iter(self._batches(0, 0)))[0][..., :3])
        self.kernels = [v for v in self.model.trainable_variables if v.path.endswith("/kernel")]
        self.sums = tf.Variable(tf.zeros(len(REPORTED)))     # of the losses of the epoch so far
        # TensorFlow keeps int32 on the processor, so each step would wait for the GPU: int64.
        self.reached = tf.Variable(0, dtype=tf.int64)             # position in the epoch of the next batch
        self.failed_at = tf.Variable(NOWHERE, dtype=tf.int64)     # position of the epoch's first batch that failed
        self.epoch, self.position, self.history = 0, 0, []
        self.held = HeldInterruptions()
        self._restore()

    def run(self) -> list[dict[str, float]]:
        """Trains to the last epoch. Returns the log: one row per epoch."""
        with self.held:
            for epoch in range(self.epoch, self.recipe.epochs):
                self._train_epoch(epoch)
                self._end_epoch(epoch)
        return self.history

    def _train_epoch(self, epoch):
        self.reached.assign(self.position)
        self.failed_at.assign(NOWHERE)
        data = self._batches(epoch, self.position, self.share.rows)
        saved = time.monotonic()
        title = f"{self.stage.name} epoch {epoch + 1}/{self.recipe.epochs}"
        with tqdm(total=self.steps, initial=self.position, desc=title, unit=" batch", mininterval=1,
                  disable=not self.chief) as bar:
            for batch in data.take(self.steps - self.position):
                self._step(batch)
                self.position += 1
                bar.update()
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._require_finite(epoch)
                    self._save()
                    saved = time.monotonic()
                self.held.release()
        self._require_finite(epoch)

    @tf.function
    def _step(self, batch):
        """Batch -> one update of the weights; adds its losses to the sums."""
        values = self.strategy.experimental_local_results(self.strategy.run(self._update, (batch,)))[0]   # all the same
        self.sums.assign_add(values)
        # A NaN is not below the limit. `~(loss < limit)` would lose it: graphs turn that into `loss >= limit`.
        failed_now = tf.where(values[0] < LOSS_LIMIT, tf.constant(NOWHERE, tf.int64), self.reached)
        self.failed_at.assign(tf.where(self.failed_at == NOWHERE, failed_now, self.failed_at))
        self.reached.assign_add(1)

    def _update(self, batch):
        """One replica's part of a step: the batch, with the images of this process' rows -> one update of the weights;
        all the batch's losses."""
        images = self.share.of_replica(batch[0])
        teacher = {}
        if self.teacher is not None:
            images, plain = tf.split(images, 2, axis=3)
            teacher = replicas.gather(nets.both_ways(self.teacher, plain), tf.size(batch[1]))
        with tf.GradientTape() as tape:
            outputs = nets.flat(self.model(images, training=True))
            outputs = replicas.gather(outputs, tf.size(batch[1]))
            values = losses.taught(outputs, teacher, batch, self.recipe.losses) if teacher else \
                self._losses(outputs, batch)
            decay = losses.weight_decay(self.kernels, self.recipe.losses.weight_decay)
            objective = values["total"] + decay / self.strategy.num_replicas_in_sync
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(objective, variables), variables)     # adds up the replicas' gradients
        return tf.stack([values[name] for name in REPORTED])

    def _losses(self, outputs, batch):
        return losses.all_losses(outputs, batch, self.recipe.losses)

    @tf.function(reduce_retracing=True)
    def _predict(self, images):
        return nets.flat(self.model(images, training=False))

    def validate(self) -> dict[str, float]:
        """Losses and accuracy on all held-out samples at once: name -> value; {} where none are held out."""
        if not self.has_validation:
            return {}
        seen = []
        for batch in batches.validation(self.stored, self.per_batch, self.recipe):
            seen.append((self._predict(batch[0]), batch[1:]))
            self.held.release()
        outputs = {head: tf.concat([out[head] for out, _ in seen], 0) for head in seen[0][0]}
        targets = [tf.concat(values, 0) for values in zip(*(target for _, target in seen))]
        values = self._losses(outputs, (None, *targets))
        return {name: float(values[name]) for name in REPORTED}

    def _end_epoch(self, epoch):
        """Validates, keeps the best weights, logs and saves the position after the epoch."""
        if self.recipe.average is not None and epoch + 1 == self.recipe.epochs:
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
        held_out = self.validate()
        means = dict(zip(REPORTED, (float(v) for v in self.sums.numpy() / self.steps)))
        row = {"epoch": epoch + 1, "learning_rate": float(self.optimizer.learning_rate), **means,
               **{f"validation_{name}": value for name, value in held_out.items()}}
        if not self.stored.landmarks:       # their losses are 0
            row = {name: value for name, value in row.items() if not name.endswith("landmark")}
        if self.chief and all(judged(row, self.stored) < judged(earlier, self.stored) for earlier in self.history):
            weights.write_arrays(self.best, nets.arrays(self.model, self.stage, self.stored.landmarks))
        self.history.append(row)
        self.epoch, self.position = epoch + 1, 0
        self.sums.assign(tf.zeros_like(self.sums))
        if self.chief:
            self._write_logs()     # before the checkpoint: a training stopped between the two writes them again
            print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
        self._save()

    def _write_logs(self):
        """The whole history as CSV, its last row for TensorBoard."""
        text = io.StringIO()
        table = csv.DictWriter(text, self.history[0], lineterminator="\n")
        table.writeheader()
        table.writerows(self.history)
        write_text(self.log, text.getvalue())
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"))
        writer = tf.summary.create_file_writer(str(self.graph))
        with writer.as_default():
            for name, value in self.history[-1].items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=len(self.history), metadata=metadata)
        writer.close()

    def _batches(self, epoch, position, rows=None):
        """Batches of training from a position on, with the images of all rows or of these only."""
        return batches.training(self.stored, self.per_batch, self.recipe, epoch, position, rows)

    def _require_finite(self, epoch):
        """UserError where a loss of the epoch was NaN, infinite or above LOSS_LIMIT; the first such batch is kept
        beside the checkpoint."""
        position = int(self.failed_at.numpy())
        if position == NOWHERE:
            return
        path = self.checkpoint.with_name("bad-batch.npz")
        batch = next(iter(self._batches(epoch, position)))
        weights.write_arrays(path, dict(zip(("images", "labels", "offsets", "points"), (t.numpy() for t in batch))))
        raise UserError(f"the loss of {self.stage.name} became NaN, infinite or more than {LOSS_LIMIT:g} in epoch "
                        f"{epoch + 1} at batch {position}, which is kept in {path}; run again with --force and a "
                        f"smaller --learning-rate than {self.recipe.learning_rate:g}, or correct its samples")

    def _state(self):
        """Name -> variable: all that training changes."""
        return {**{f"model/{v.path}": v for v in self.model.variables},
                **{f"optimizer/{i}": v for i, v in enumerate(self.optimizer.variables)}, "sums": self.sums}

    def _save(self):
        if not self.chief:
            return
        arrays = {name: variable.numpy() for name, variable in self._state().items()}
        place = {"epoch": self.epoch, "position": self.position, "history": self.history}
        weights.write_arrays(self.checkpoint, {**arrays, "place": np.array(json.dumps(place))})

    def _restore(self):
        if not self.checkpoint.is_file():
            return
        try:
            state = self._state()
            saved = weights.read_arrays(self.checkpoint, sum(v.numpy().nbytes for v in state.values()))
            place = json.loads(str(saved["place"]))
            self.epoch, self.position, self.history = place["epoch"], place["position"], place["history"]
            for name, variable in state.items():
                variable.assign(saved[name])
        except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
            raise UserError(f"{self.checkpoint}: is not a checkpoint of this training ({str(error).splitlines()[0]}); "
                            "start anew with --force") from None
        print(f"{self.checkpoint}: resumed in epoch {self.epoch + 1} at batch {self.position}")
