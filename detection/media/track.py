"""Stable ids for faces across the frames of a video, and faces followed between searches of whole frames."""
import cv2
import numpy as np

from detection import boxes as bx
from detection.cascade import Detector, Faces
from detection.types import Floats, Image, Indices

MATCH_IOU = 0.3          # at least, of a face with the place where its track is expected
HOLD = 1.0               # s that a track waits for its face to appear again
SMOOTH = 0.5             # weight of the newest speed in the mean speed of a track
CUT = 20.0               # gray levels by which the thumbnails of two frames of different scenes differ, at least
THUMBNAIL = 32, 18       # px, width and height
NEAR = ((0, 0, 0, 0), (0.09, 0.09, -0.09, -0.09), (-0.1, -0.1, 0.1, 0.1), (0.15, 0, 0.15, 0), (-0.15, 0, -0.15, 0),
        (0, 0.15, 0, 0.15), (0, -0.15, 0, -0.15))
                         # corners of the proposals for a face, from those of the expected square, in its sides;
                         # five proposals find 0.02 fewer faces, nine take longer and find no more
SEARCH = 5               # one of how many frames is searched whole: recall as if all were, at half of the time or less
LATEST = 0.4             # s after a search, at which there is another one


class Tracker:
    """Gives each face the id of the track that it continues, from 1; a face without one starts a track.

    A track is the box of a face and the speed of its center. Pairs of a face and a track are made greedily, the largest
    IoU of the face and the place where the track is expected first. A track without a face waits for HOLD s; a cut to
    another scene ends all. It knows places only, not what a face looks like: someone who comes back after HOLD s, or in
    another scene, gets a new id; two faces that hide each other and turn back meanwhile exchange theirs; so do faces
    that move more than about half their width between two frames that are searched.
    """

    def __init__(self) -> None:
        self._ids, self._seen, self._next = np.zeros(0, int), np.zeros(0), 1         # (K,); s; of the next track
        self._boxes, self._speeds = bx.empty(0, 4), bx.empty(0, 2)                   # px when last seen; px/s

    def reset(self) -> None:
        """Ends all tracks, as after a cut."""
        self._keep(np.zeros(len(self._ids), bool))

    def expected(self, time: float) -> Floats:
        """Boxes (K, 4) px of the tracks at `time`, s, moved by their speed; those that have waited for HOLD end."""
        self._keep(time - self._seen <= HOLD)
        return (self._boxes + np.tile(self._speeds * (time - self._seen)[:, None], 2)).astype(np.float32)

    def update(self, boxes: Floats, time: float) -> Indices:
        """Boxes (N, 4) px of the faces of the frame at `time`, s -> their ids (N,)."""
        overlap = bx.iou(boxes, self.expected(time))                                              # (N, K)
        found = np.full(len(boxes), -1)
        while overlap.size and overlap.max() >= MATCH_IOU:
            face, track = np.unravel_index(overlap.argmax(), overlap.shape)
            found[face] = track
            overlap[face], overlap[:, track] = 0, 0
        old, new = np.nonzero(found >= 0)[0], np.nonzero(found < 0)[0]
        tracks = found[old]
        moved = (boxes[old] - self._boxes[tracks]).reshape(-1, 2, 2).mean(axis=1)    # (n, 2) px, of the centers
        passed = np.maximum(time - self._seen[tracks], 1e-6)[:, None]
        self._speeds[tracks] += SMOOTH * (moved / passed - self._speeds[tracks])
        self._boxes[tracks], self._seen[tracks] = boxes[old], time
        found[new] = len(self._ids) + np.arange(len(new))
        self._ids = np.concatenate([self._ids, self._next + np.arange(len(new))])
        self._boxes = np.concatenate([self._boxes, boxes[new]])
        self._speeds = np.concatenate([self._speeds, bx.empty(len(new), 2)])
        self._seen = np.concatenate([self._seen, np.full(len(new), time)])
        self._next += len(new)
        return self._ids[found]

    def _keep(self, mask: np.ndarray) -> None:
        self._ids, self._seen = self._ids[mask], self._seen[mask]
        self._boxes, self._speeds = self._boxes[mask], self._speeds[mask]


class Follower:
    """Finds the faces of the frames of one video in order, with their ids.

    One of `search` frames is searched whole, also the first one of each scene and the first one after LATEST; in the
    others the tracks of the faces are followed by R-Net and O-Net alone. So a face that appears is found up to
    search - 1 frames late. search = 1 searches all.
    """

    def __init__(self, detector: Detector, search: int = SEARCH):
        self._detector, self._search, self._tracker = detector, search, Tracker()
        self._thumbnail: Image | None = None
        self._left, self._searched = 0, 0.0              # frames until the next search; s, of the last one

    def detect(self, frame: Image, time: float) -> tuple[Faces, Indices]:
        """uint8 (H, W, 3) shown at `time`, s -> its Faces (N), their ids (N,)."""
        if self._cut(frame):
            self._tracker.reset()
            self._left = 0
        if self._left and time - self._searched < LATEST:
            places = np.repeat(bx.square(self._tracker.expected(time)), len(NEAR), axis=0)
            shifts = np.tile(np.array(NEAR, np.float32), (len(places) // len(NEAR), 1))
            faces = self._detector.refine(frame, bx.decode(shifts, places))
        else:
            faces, self._left, self._searched = self._detector.detect(frame), self._search, time
        self._left -= 1
        return faces, self._tracker.update(faces.boxes, time)

    def _cut(self, frame: Image) -> bool:
        """Whether this frame shows another scene than the one before."""
        before = self._thumbnail
        self._thumbnail = cv2.cvtColor(cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        return before is not None and float(cv2.absdiff(before, self._thumbnail).mean()) > CUT
