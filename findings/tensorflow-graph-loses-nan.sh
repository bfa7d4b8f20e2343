#!/usr/bin/env bash
# In a tf.function, TensorFlow turns `not (x < limit)` into `x >= limit`, which is another answer for NaN.
#
# NaN is below nothing, so `~(loss < limit)` is the usual way to ask whether a loss is too large or no number at all.
# Expected: the same answer from a function and from its graph; the optimizer of graphs keeps IEEE comparisons.
# Seen: eager execution says True for NaN, the same function as a graph says False. With a check of that form a
# training that has diverged to NaN continues. `tf.where(x < limit, False, True)` gives True in both.
#
# tensorflow 2.21.0:
#   eager  ~(nan < 1): True    where: True
#   graph  ~(nan < 1): False   where: True
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install tensorflow==2.21.0

run <<'PYTHON'
import tensorflow as tf


def negated(x):
    return ~(x < 1.0)


def chosen(x):
    return tf.where(x < 1.0, False, True)


nan = tf.constant(float("nan"))
rows = {"eager": [bool(negated(nan)), bool(chosen(nan))],
        "graph": [bool(tf.function(negated)(nan)), bool(tf.function(chosen)(nan))]}
for name, (first, second) in rows.items():
    print(f"{name}  ~(nan < 1): {first}   where: {second}")
if rows != {"eager": [True, True], "graph": [False, True]}:
    raise SystemExit("TensorFlow's graphs compare NaN in another way than they did.")
PYTHON
