"""The detector: P-Net proposes windows, R-Net refines them, O-Net decides and finds the points."""
from dataclasses import dataclass, field

import numpy as np

from config import (CASCADE, CROPS, LEVEL_NMS, MIN_FACE_SIZE, MODEL, PNET, PNET_STRIDE, POINTS, POINTS_BOX,
                    PYRAMID_FACTOR, VOTE_IOU, VOTE_TRUST)
from detection import boxes as bx
from detection import pyramid
from detection import images as im
from detection.engines import Net

HEADS_USED = (("face", "box"), ("face", "box"), ("face", "box", "landmark"))   # of P-Net, R-Net, O-Net
NEAR = bx.overlapping_cells(PNET.size, PNET_STRIDE, LEVEL_NMS)                # cells whose windows exclude each other


@dataclass
class Faces:
    """What was found in one image, best first.

    boxes float32 (N, 4) px, x1 y1 x2 y2, not clipped to the image; scores (N,) 0..1; landmarks (N, 5, 2) px:
    left eye, right eye, nose, left and right mouth corner as seen, or the POINTS of config.py if they are others. After
    P-Net and R-Net landmarks are (0, 5, 2). The last score is the geometric mean of R-Net's and O-Net's, which ranks
    faces better than O-Net's alone; O-Net's is that of what it says of the window and of its mirror image, where it
    is at or above the threshold as it is.
    """
    boxes: np.ndarray = field(default_factory=lambda: bx.empty(0, 4))
    scores: np.ndarray = field(default_factory=lambda: bx.empty(0))
    landmarks: np.ndarray = field(default_factory=lambda: bx.empty(0, len(POINTS), 2))

    def __len__(self):
        return len(self.boxes)

    def take(self, index):
        """The faces at these indices."""
        return Faces(self.boxes[index], self.scores[index], self.landmarks[index] if len(self.landmarks) else
                     self.landmarks)


class Detector:
    """Finds faces in uint8 BGR images.

    model: the folder with pnet.npz, rnet.npz, onet.npz, or the nets themselves: up to three objects like
    runtime.Net. min_face_size: px of the smallest face looked for. thresholds: of the face score after P-, R- and
    O-Net, 0..1. factor: from one pyramid level to the next. stages: how many nets run; mining stops after 1 or 2.
    """

    def __init__(self, model=MODEL, min_face_size=MIN_FACE_SIZE, thresholds=None, factor=PYRAMID_FACTOR, stages=3):
        thresholds = [s.threshold for s in CASCADE] if thresholds is None else list(thresholds)
        if len(thresholds) < stages or not all(0 <= t <= 1 for t in thresholds):
            raise ValueError(f"thresholds must be {stages} numbers from 0 to 1, not {thresholds}")
        if not 0 < factor < 1:
            raise ValueError(f"factor must lie between 0 and 1, not {factor}")
        if not min_face_size >= 1:
            raise ValueError(f"min_face_size must be at least 1 px, not {min_face_size}")
        self.min_face_size, self.thresholds, self.factor, self.stages = min_face_size, thresholds, factor, stages
        self.nets = list(model) if isinstance(model, (list, tuple)) else \
            [Net.load(model, stage, heads) for stage, heads in zip(CASCADE[:stages], HEADS_USED)]

    def detect(self, image) -> Faces:
        """uint8 (H, W, 3) BGR -> Faces."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images) -> list[Faces]:
        """Images of any sizes -> their Faces, in order."""
        return self.trace(images)[-1]

    def trace(self, images) -> list[list[Faces]]:
        """Images -> for each stage that runs, the Faces of each image after it: [stage][image]."""
        for image in images:
            im.check(image)
        halved = [im.half_scales(image) for image in images]
        results = [[self._propose(image) for image in halved]]
        if self.stages > 1:
            results.append(self._refine(halved, results[-1]))
        if self.stages > 2:
            results.append(self._output(halved, results[-1]))
        return results

    def propose(self, image) -> Faces:
        """P-Net over the image pyramid: NMS within each level, then across levels, boxes corrected."""
        im.check(image)
        return self._propose(im.half_scales(image))

    def _propose(self, halved):
        layout = pyramid.plan(*halved[0].shape[:2], self.min_face_size, self.factor)
        if layout is None:
            return Faces()
        rows, columns, scores, offsets = self._scan(pyramid.draw(halved, layout), layout)
        levels = layout.levels_of(rows, columns)
        inside = levels >= 0
        rows, columns, scores, offsets, levels = (a[inside] for a in (rows, columns, scores, offsets, levels))
        keep = bx.grid_nms(rows, columns, scores, NEAR)
        corner = np.stack([columns[keep], rows[keep]], axis=1) * PNET_STRIDE - layout.corners[levels[keep]]  # level px
        cells = np.hstack([corner, corner + PNET.size]) / np.tile(layout.scales[levels[keep]], 2)            # image px
        cells, scores, offsets = cells.astype(np.float32), scores[keep], offsets[keep]
        if layout.levels_may_overlap(PNET.nms):
            keep = bx.nms(cells, scores, PNET.nms)
            cells, scores, offsets = cells[keep], scores[keep], offsets[keep]
        return Faces(bx.decode(offsets, cells), scores)

    def _scan(self, pixels, layout):
        """Canvas -> the cells at or above the threshold: rows, columns, scores (N,), offsets (N, 4)."""
        found = []
        for top, bottom in layout.strips():
            face, box = self.nets[0].maps(pixels[top:bottom])                   # (h, w, 2), (h, w, 4)
            rows, columns = np.nonzero(face[..., 1] >= self.thresholds[0])
            found.append((rows + top // PNET_STRIDE, columns, face[rows, columns, 1], box[rows, columns]))
        return [np.concatenate(arrays) for arrays in zip(*found)]

    def _refine(self, halved, proposals) -> list[Faces]:
        """R-Net on the proposals of each image: boxes corrected, NMS."""
        found = self._run(1, halved, proposals)
        return [faces.take(bx.nms(faces.boxes, faces.scores, CASCADE[1].nms)) for faces, _ in found]

    def _output(self, halved, proposals) -> list[Faces]:
        """O-Net on R-Net's boxes: boxes corrected, NMS by the overlap with the smaller box, box voting, points."""
        return [self._look_again(image, self._elect(*found))
                for image, found in zip(halved, self._run(2, halved, proposals))]

    def _elect(self, found, windows):
        """Faces with their neighbours, windows (N, 4) that they were seen in -> one a face, its box voted by them.

        The less a window had to be corrected, the better is its box: votes count by that, too.
        """
        keep = bx.nms(found.boxes, found.scores, CASCADE[2].nms, bx.minimum_overlap)
        weights = found.scores * bx.iou_of_pairs(windows, bx.square(found.boxes)) ** VOTE_TRUST
        return Faces(bx.vote(found.boxes, found.boxes, weights, keep, VOTE_IOU), found.scores[keep])

    def _look_again(self, halved, faces):
        """O-Net on the part of each face that it learned the points on, as it is and mirrored -> Faces with points."""
        windows, net = bx.windows(bx.inner(faces.boxes, *POINTS_BOX)), self.nets[2]
        points = np.concatenate([net(crops)[-1] + net(im.mirror(crops))[-1] @ bx.MIRROR_POINTS + bx.MIRROR_SHIFT
                                 for crops in self._crops(2, halved, windows)]) / 2
        return Faces(faces.boxes, faces.scores, bx.decode_points(points, windows))

    def _run(self, index, halved, proposals):
        """Net `index` on the square crops of each image: Faces above its threshold, boxes corrected; their windows."""
        return [self._run_one(index, *pair) for pair in zip(halved, proposals)]

    def _run_one(self, index, halved, proposals):
        windows = bx.windows(proposals.boxes)
        scores, offsets = self._ask(index, halved, windows)
        keep = np.nonzero(scores >= self.thresholds[index])[0]
        windows, scores, offsets = windows[keep], scores[keep], offsets[keep]
        if index == 2:      # few are left: what their mirror images say costs little and mends boxes and ranking
            mirrored_scores, mirrored_offsets = self._ask(index, halved, windows, im.mirror)
            scores = np.sqrt(np.sqrt(scores * mirrored_scores) * proposals.scores[keep])
            offsets = (offsets + mirrored_offsets @ bx.MIRROR_OFFSETS) / 2
        return Faces(bx.decode(offsets, windows), scores), windows

    def _ask(self, index, halved, windows, view=np.asarray):
        """Net `index` on windows (N, 4) of an image, each seen through `view`: scores (N,), offsets (N, 4)."""
        parts = (self.nets[index](view(crops)) for crops in self._crops(index, halved, windows))
        face, offsets, *_ = (np.concatenate(heads) for heads in zip(*parts))
        return face[:, 1], offsets

    @staticmethod
    def _crops(index, halved, windows):
        """What net `index` sees of windows (N, 4) of an image, at most CROPS at a time; once, if there is none."""
        for i in range(0, max(len(windows), 1), CROPS):
            yield im.crop_scaled(halved, windows[i:i + CROPS], CASCADE[index].size)
