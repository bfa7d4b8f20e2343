"""The types of the arrays that functions take and give; the docstrings say their shapes and units."""
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.integer[Any] | np.floating[Any]]      # uint8 (H, W, 3) BGR, or crops (N, H, W, 3)
Floats = NDArray[np.floating[Any]]             # boxes, scores, landmarks, offsets, weights; results are float32
Indices = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]
Shape = tuple[int, ...]
Arrays = Mapping[str, Floats]                  # of one net: "conv1/weights" -> array
