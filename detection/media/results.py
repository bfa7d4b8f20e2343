"""What is written about pictures: drawn, blurred, explained, cut out, as JSON and as CSV."""
import csv
import io
import json
import tempfile
from pathlib import Path

import cv2

from config import POINTS
from detection.align import align, require_facial_points
from detection.cascade import Faces
from detection.media.draw import blur, draw, explain
from detection.errors import UserError

CSV_HEADER = ("file", "frame", "score", "x1", "y1", "x2", "y2",
              *(f"{name.replace(' ', '_')}_{axis}" for name in POINTS for axis in "xy"))


class Results:
    """Takes the faces of all pictures and frames in order, and writes what was asked for.

    output: folder of the pictures; drawn, blurred: what they show; explained: a sheet of the three nets beside each;
    crops: folder of aligned faces; json_file, csv_file: written by `write_tables`. None: not wanted.
    """

    def __init__(self, output, drawn=True, blurred=False, explained=False, crops=None, json_file=None, csv_file=None):
        self.output, self.drawn, self.blurred, self.explained = Path(output), drawn, blurred, explained
        self.crops, self.json_file, self.csv_file = crops, json_file, csv_file
        self.rows = []                                           # (relative path, frame or None, faces)

    @property
    def makes_pictures(self):
        """Whether drawn or blurred copies are wanted."""
        return self.drawn or self.blurred

    @property
    def face_count(self):
        """Of all pictures and frames so far."""
        return sum(len(faces) for _, _, faces in self.rows)

    def check(self, sources):
        """UserError, before any work is done, where results cannot be written or would replace a source."""
        if self.crops:
            require_facial_points("--crops")
        for folder in {self.output if self.makes_pictures or self.explained else None, self.crops} - {None}:
            check_folder(folder)
        for file in {self.json_file, self.csv_file} - {None}:
            check_folder(Path(file).parent)
            if Path(file).is_dir():
                raise UserError(f"{file}: is a folder; name a file")
        places = {}
        for source in sources:
            twin = places.setdefault(source.relative, source)
            if twin is not source:
                raise UserError(f"{twin.where} and {source.where}: would both be written as {source.relative}; name "
                                "them in two runs")
            if self.makes_pictures and Path(str(source.where)).resolve() == (self.output / source.relative).resolve():
                raise UserError(f"{source.where}: would be replaced by its result; name another --output")

    def picture(self, source, image, stages):
        """One picture, uint8 (H, W, 3), with its Faces after each net."""
        self._keep(source.relative, None, source.label, image, stages[-1])
        if self.explained:
            shown = [self._shown(faces) for faces in stages]
            sheet = explain(blur(image, stages[-1]) if self.blurred else image, shown)
            save(self.output / source.label.with_name(f"{source.label.name}-explain.png"), sheet)
        if self.makes_pictures:
            save(self.output / source.relative, self.render(image, stages[-1]))

    def frame(self, source, number, image, faces):
        """One frame of a video, uint8 (H, W, 3), counted from 0; the video is written by others."""
        self._keep(source.relative, number, frame_label(source, number), image, faces)

    def render(self, image, faces):
        """uint8 (H, W, 3), Faces -> the picture that is written or shown."""
        image = blur(image, faces) if self.blurred else image
        return draw(image, self._shown(faces)) if self.drawn else image

    def _shown(self, faces):
        """Without the points where faces are hidden: they tell a face's proportions."""
        return Faces(faces.boxes, faces.scores) if self.blurred else faces

    def _keep(self, relative, frame, label, image, faces):
        self.rows.append((relative.as_posix(), frame, [
            {"box": [round(float(v), 2) for v in box], "score": round(float(score), 5),
             "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in points]}
            for box, score, points in zip(faces.boxes, faces.scores, faces.landmarks)]))
        if self.crops:
            for number, face in enumerate(align(image, faces.landmarks), 1):
                save(Path(self.crops) / label.with_name(f"{label.name}-{number}.png"), face)

    def write_tables(self):
        """Writes JSON and CSV.

        JSON: {relative path: [{"box": [x1, y1, x2, y2], "score": s, "landmarks": [[x, y] * P]}]}, px, best first;
        the key of a video's frame is "<relative path>#<frame>". CSV: one line a face, columns CSV_HEADER, px.
        """
        if self.json_file:
            keys = {name if frame is None else f"{name}#{frame}": faces for name, frame, faces in self.rows}
            write_bytes(self.json_file, (json.dumps(keys, indent=1) + "\n").encode())
        if self.csv_file:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(CSV_HEADER)
            for name, frame, faces in self.rows:
                writer.writerows([name, "" if frame is None else frame, face["score"], *face["box"],
                                  *(v for point in face["landmarks"] for v in point)] for face in faces)
            write_bytes(self.csv_file, text.getvalue().encode())


def frame_label(source, number):
    """Where pictures of a video's frame go: the source's label with the number."""
    return source.label.with_name(f"{source.label.name}-{number:06}")


def check_folder(folder):
    """Makes the folder; UserError unless files can be written there."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror}); name another folder") from None


def save(path, image):
    """Writes uint8 (H, W, 3) in the format of the path's extension, or else as PNG; returns the path."""
    path = Path(path)
    if not (path.suffix and cv2.haveImageWriter(f"x{path.suffix}")):
        path = path.with_name(path.name + ".png")
    ok, data = cv2.imencode(path.suffix, image)
    if not ok:
        raise UserError(f"{path}: OpenCV cannot write this picture; convert it to PNG first")
    write_bytes(path, data.tobytes())
    return path


def write_bytes(path, data):
    """Writes a file and the folders above it; UserError where that fails."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room or name another place") from None
