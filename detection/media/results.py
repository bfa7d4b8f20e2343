"""Writes the results: images with faces drawn or blurred, --explain sheets, aligned faces, JSON and CSV."""
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2

from config import POINTS
from detection import boxes as bx
from detection.align import SIZE, align, require_facial_points
from detection.cascade import Faces
from detection.errors import UserError
from detection.files import write_bytes
from detection.images import EXTENSIONS, FOREIGN
from detection.media.draw import blur, draw, explain
from detection.media.names import crop_path, forms, frame_label, image_path, real, sheet_path, written
from detection.media.sources import VIDEO_EXTENSIONS, Source
from detection.media.tables import CsvFile, JsonFile
from detection.types import Image, Indices

CSV_HEADER = ("file", "frame", "score", "x1", "y1", "x2", "y2",
              *(f"{name.replace(' ', '_')}_{axis}" for name in POINTS for axis in "xy"), "time")


class Results:
    """Takes the faces of all images and frames in order, and writes the results that are asked for.

    output: folder of the images; drawn, blurred: what happens to the faces in them; explained: also a sheet of the
    three nets for each image; crops: folder of aligned faces, of crop_size px with this margin (`align`); json_file,
    csv_file: written with each image and frame, so that no result is kept in memory and the files are whole whenever
    the program ends. None: not written. count, face_count: images and frames, and faces in them, so far.

    JSON: {relative path: [{"box": [x1, y1, x2, y2], "score": s, "landmarks": [[x, y] * P]}]}, px, best first, landmarks
    empty where the nets were trained without; the key of a frame of a video is "<relative path>#<frame>", and its faces
    have a "time", s from the first frame. CSV: one line per face, columns CSV_HEADER, px; frame and time are empty for
    images. tracked: both also have the "id" of each face of a frame.
    """

    def __init__(self, output: Path | str, drawn: bool = True, blurred: bool = False, explained: bool = False,
                 crops: Path | None = None, json_file: Path | None = None, csv_file: Path | None = None,
                 crop_size: int = SIZE, margin: float = 0, tracked: bool = False):
        self.output, self.drawn, self.blurred, self.explained = Path(output), drawn, blurred, explained
        self.crops, self.json_file, self.csv_file = (Path(p) if p else None for p in (crops, json_file, csv_file))
        self._tables = [file for file in (self.json_file, self.csv_file) if file]
        self._crop_size, self._margin, self._tracked = crop_size, margin, tracked
        self._json = JsonFile(json_file) if json_file else None
        self._csv = CsvFile(csv_file, (*CSV_HEADER, *["id"] * tracked)) if csv_file else None
        self.count = self.face_count = 0

    @property
    def writes_images(self) -> bool:
        """Whether drawn or blurred copies are written."""
        return self.drawn or self.blurred

    def check(self, sources: Sequence[Source]) -> None:
        """Before any detection: UserError where results cannot be written, or would replace a source or each other."""
        if self.crops:
            require_facial_points("--crops")
        self._check_names(sources)
        for folder in (self.output if self.writes_images or self.explained else None, self.crops):
            if folder:
                check_folder(folder)
        for file in self._tables:
            check_folder(file.parent)
            if file.is_dir():
                raise UserError(f"{file}: is a folder; name a file")

    def _check_names(self, sources: Sequence[Source]) -> None:
        for file in self._tables:
            if file.suffix.lower() in EXTENSIONS | FOREIGN | VIDEO_EXTENSIONS:
                raise UserError(f"{file}: has the extension of an image or a video; name a .json or .csv file")
        tables = {real(file): file for file in self._tables}
        if len(tables) < len(self._tables):
            raise UserError(f"{self._tables[0]}: cannot hold both JSON and CSV; name two files")
        images, sheets = (self.output if wanted else None for wanted in (self.writes_images, self.explained))
        claims = [(place, source) for source in sources
                  for place in (str(source.relative), *written(source, images, sheets, self.crops))]
        owners = dict(reversed(claims))              # the first of each place; relative ones are those in JSON and CSV
        for place, source in claims:
            for other in (owners.get(form, source) for form in forms(place)):
                if other is not source:
                    raise UserError(f"{other.where} and {source.where}: would both be written as {place}; pass them to "
                                    "separate runs")
        read = {real(str(source.where)): source.where for source in sources}
        for name in tables.keys() & read.keys():
            raise UserError(f"{tables[name]}: is one of the images and videos; name another file")
        for name, path in (read | tables).items():
            for owner in (owners[form] for form in forms(name) if form in owners):
                raise UserError(f"{path}: would be replaced by a result of {owner.where}; name another folder for them")

    def add_image(self, source: Source, image: Image, stages: Sequence[Faces]) -> None:
        """One image, uint8 (H, W, 3), with its Faces after each net. UserError where a result cannot be written."""
        self._keep(source.relative, None, source.label, image, stages[-1])
        if self.explained:
            shown = [self._shown(faces) for faces in stages]
            sheet = explain(blur(image, stages[-1]) if self.blurred else image, shown)
            save(sheet_path(self.output / source.label), sheet)
        if self.writes_images:
            save(self.output / source.relative, self.render(image, stages[-1]))

    def add_frame(self, source: Source, number: int, image: Image, faces: Faces, time: float,
                  ids: Indices | None = None) -> None:
        """Frame `number` of a video, counted from 0, uint8 (H, W, 3), shown at `time`, s; ids (N,) of its faces.
        VideoFile writes it."""
        self._keep(source.relative, number, frame_label(source, number), image, faces, time, ids)

    def render(self, image: Image, faces: Faces, ids: Indices | None = None) -> Image:
        """uint8 (H, W, 3), Faces (N), their ids (N,) -> the image that is written or shown."""
        image = blur(image, faces) if self.blurred else image
        return draw(image, self._shown(faces), ids) if self.drawn else image

    def _shown(self, faces: Faces) -> Faces:
        """Without landmarks where faces are blurred: they show the proportions of a face."""
        return Faces(faces.boxes, faces.scores) if self.blurred else faces

    def _keep(self, relative: Path, frame: int | None, label: Path, image: Image, faces: Faces,
              time: float | None = None, ids: Indices | None = None) -> None:
        self.count, self.face_count = self.count + 1, self.face_count + len(faces)
        name = relative.as_posix()
        landmarks = faces.landmarks if len(faces.landmarks) else bx.empty(len(faces), 0, 2)
        rows = [{"box": [round(float(v), 2) for v in box], "score": round(float(score), 5),
                 "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in points],
                 **({} if time is None else {"time": round(time, 3)}), **({} if ids is None else {"id": int(ids[i])})}
                for i, (box, score, points) in enumerate(zip(faces.boxes, faces.scores, landmarks))]
        if self._json:
            self._json.add(name if frame is None else f"{name}#{frame}", rows)
        if self._csv:
            self._csv.add([name, "" if frame is None else frame, row["score"], *row["box"],
                           *([v for point in row["landmarks"] for v in point] or [""] * (2 * len(POINTS))),
                           row.get("time", ""), *[row.get("id", "")] * self._tracked] for row in rows)
        if self.crops:
            for number, face in enumerate(align(image, faces.landmarks, self._crop_size, self._margin), 1):
                save(crop_path(self.crops / label, number), face)

    def close(self) -> None:
        """Ends JSON and CSV; UserError where that fails."""
        for table in (self._json, self._csv):
            if table:
                table.close()


def check_folder(folder: Path) -> None:
    """Makes the folder; UserError unless files can be written in it."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror}); name another folder") from None


def save(path: Path | str, image: Image) -> Path:
    """Writes uint8 (H, W, 3) -> its path, see `image_path`. UserError where that fails."""
    path = image_path(Path(path))
    ok, data = cv2.imencode(path.suffix, image)
    if not ok:
        raise UserError(f"{path}: OpenCV cannot write this image; convert it to PNG first")
    write_bytes(path, data.tobytes())
    return path
