"""All pixel work. Images are uint8 (H, W, 3) in BGR order, as OpenCV gives them."""
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from config import LIT, MOST_LIGHT, PIXEL_MEAN, PIXEL_SCALE
from detection.boxes import longer_side
from detection.errors import UserError, UserNote
from detection.quiet import quiet
from detection.types import Floats, Image, Indices

PARTS = 32               # of a pixel, to which OpenCV's remap rounds places: cv2.INTER_TAB_SIZE
LARGEST = 32766          # px, the longest side of an image that it takes
MOST_HALVINGS = 4        # a pixel of a crop is the mean of 16 x 16 at most, too few for huge boxes alone: [ours]
ROWS = 4                 # of a crop that it sees as one: it takes 0.7 of the time for rows of 96 px, of 24: [ours]
SAMPLED = 1 << 18        # px that it interpolates in one call, so that they stay in the cache: [ours]
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"       # how a file of it begins
CUT = 0.01          # of the pixels: a JPEG of which more is missing is refused
DARK = 17           # of 256: 12 bits in 16 are darker
HEAD = 65536        # bytes in which the size of a JPEG is looked for; what is not found there is decoded
# What OpenCV 5's wheels decode, of an animation the first frame.
EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".avif",
              ".jp2", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".sr", ".ras"}
# Images that it does not decode, so that they can be counted: phones, cameras, editors.
FOREIGN = {".heic", ".heif", ".jxl", ".jpx", ".j2k", ".svg", ".psd", ".ico", ".tga", ".exr", ".dng", ".cr2", ".cr3",
           ".nef", ".arw", ".raf", ".orf", ".rw2", ".raw"}


def size(path: Path | str) -> tuple[int, int]:
    """(width, height) px of the image in file `path`, as `read` gives it; of most files the pixels are not read.

    UserError where the file is missing or is no image.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            found = _size_in_png(file) if head[:8] == PNG else _size_in_head(head)
    except (OSError, ValueError):
        found = None
    return found or read(path).shape[1::-1]


def _size_in_png(file: BinaryIO) -> tuple[int, int] | None:
    """The size that a PNG states; None where EXIF data, which may lie anywhere, turn the image. Pixels are skipped:
    `_png_is_cut` says how chunks begin. Source: W3C, "Portable Network Graphics", section 11."""
    found, position, kind = None, 8, b""
    while kind != b"IEND":
        file.seek(position)
        start = file.read(24)
        length, kind = int.from_bytes(start[:4], "big"), start[4:8]
        if len(start) < 12:                      # cut: `read` says so
            return found
        if kind == b"IHDR":
            found = int.from_bytes(start[8:12], "big"), int.from_bytes(start[12:16], "big")
        elif kind == b"eXIf":
            file.seek(position + 8)
            if _orientation(file.read(min(length, HEAD))) != 1:
                return None
        position += 12 + length
    return found


def _size_in_head(head: bytes) -> tuple[int, int] | None:
    """The size that the first bytes of a JPEG state, turned as the orientation in its EXIF data says; None for other
    files. Source: ITU-T T.81, annex B."""
    position, turned = 2, False
    while head[:2] == JPEG and position + 9 <= len(head) and head[position] == 0xFF:
        marker, length = head[position + 1], int.from_bytes(head[position + 2:position + 4], "big")
        if marker == 0xE1 and head[position + 4:position + 10] == b"Exif\0\0":
            turned = _orientation(head[position + 10:position + 2 + length]) >= 5
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):           # a start of frame
            height, width = (int.from_bytes(head[position + at:position + at + 2], "big") for at in (5, 7))
            return ((height, width) if turned else (width, height)) if width and height else None
        position += 2 + length
    return None


def _orientation(exif: bytes) -> int:
    """The orientation 1..8 that EXIF data state, 1 where they do not. Source: TIFF, revision 6.0, section 2."""
    order = "little" if exif[:2] == b"II" else "big"
    start = int.from_bytes(exif[4:8], order)
    for entry in range(int.from_bytes(exif[start:start + 2], order)):
        field = exif[start + 2 + 12 * entry:start + 14 + 12 * entry]
        if len(field) == 12 and int.from_bytes(field[:2], order) == 0x0112:
            found = int.from_bytes(field[8:10], order)
            return found if 1 <= found <= 8 else 1
    return 1


def read(path: Path | str) -> Image:
    """The image in file `path`: uint8 (H, W, 3). UserError where the file is missing or does not decode.

    Of an animation the first frame. 10 or 12 bits in 16 are scaled to 8. A JPEG that lacks only its end is read with a
    UserNote.
    """
    try:
        data = np.fromfile(path, np.uint8)   # not cv2.imread, which cannot open every file name on every system
    except (OSError, ValueError) as error:           # ValueError: no file can have this name
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); check the name and the "
                        "permissions") from None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size and not _png_is_cut(data) else None
        if image is None and data[:2].tobytes() == JPEG:
            image = _without_end(data)
            if image is not None:
                warnings.warn(f"{path}: lacks its end and is used all the same, as only the end is missing", UserNote,
                              stacklevel=2)
        elif image is not None and image.max() < DARK and data[:2].tobytes() != JPEG:
            deep = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            image = image if deep is None else _scaled(deep, image)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise UserError(f"{path}: has more pixels than is safe to decode; shrink it, or set the environment "
                            "variable OPENCV_IO_MAX_IMAGE_PIXELS to more if you trust it") from None
        image = None
    if image is None:
        raise UserError(f"{path}: is not an image that OpenCV can decode; convert it to JPEG or PNG, or remove it")
    return image


def _without_end(data: np.ndarray) -> Image | None:
    """uint8 (N,) of a JPEG that does not decode -> the image, where no more than CUT of it can be missing; else None.

    The decoder fills what is missing. Where it does not depend on what follows the data, nothing is missing.
    """
    other = np.random.default_rng(0).integers(0, 255, 4096, np.uint8)       # no 255, which would begin a marker
    end = np.frombuffer(b"\xff\xd9", np.uint8)
    with quiet():
        found = [cv2.imdecode(np.concatenate([data, *more, end]), cv2.IMREAD_COLOR) for more in ((), (other,))]
    if any(image is None for image in found) or (found[0] != found[1]).any(axis=2).mean() > CUT:
        return None
    return found[0]


def _scaled(deep: np.ndarray, image: Image) -> Image:
    """An image at its own depth, the same in 8 bits -> 8, 10 or 12 bits in 16 scaled to 8; else the latter."""
    bits = next((bits for bits in (8, 10, 12) if deep.dtype == np.uint16 and deep.max() < 1 << bits), None)
    return image if bits is None else np.round(deep * (255 / ((1 << bits) - 1))).astype(np.uint8)


def _png_is_cut(data: np.ndarray) -> bool:
    """Whether uint8 (N,) is a PNG with a chunk that announces more bytes than follow; OpenCV would reserve up to 4 GB.

    Chunks: length 4, type 4, data, checksum 4. Source: W3C, "Portable Network Graphics", section 5.
    """
    view, position = data.data, 8
    if view[:8] != PNG:
        return False
    while position + 12 <= len(view) and view[position + 4:position + 8] != b"IEND":
        position += 12 + int.from_bytes(view[position:position + 4], "big")
    return position + 12 > len(view)


def check(image: Any) -> None:
    """ValueError unless `image` is uint8 (H, W, 3) with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 \
            or image.shape[2] != 3 or image.size == 0:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError("an image must be a uint8 array (height, width, 3) in BGR order, not "
                         f"{found}{_conversion(image)}")


def _conversion(image: Any) -> str:
    """How such an array becomes an image, where that is known."""
    if not isinstance(image, np.ndarray) or not image.size:
        return ""
    if image.dtype.kind == "f":
        return "; pixels in 0..1 become one by (255 * image).round().astype(np.uint8)"
    code = "GRAY2BGR" if image.ndim == 2 else "BGRA2BGR" if image.ndim == 3 and image.shape[2] == 4 else None
    return f"; cv2.cvtColor(image, cv2.COLOR_{code}) makes one of it" if code and image.dtype == np.uint8 else ""


def normalize(pixels: Any) -> Any:
    """Pixels 0..255, float -> input of the nets, about -1..1. For NumPy arrays, tensors and numbers."""
    return (pixels - PIXEL_MEAN) * PIXEL_SCALE


def resize(image: Image, width: int, height: int) -> Image:
    """Image (H, W, 3) -> (height, width, 3); shrinks by averaging, so that nothing aliases.

    Interpolates to the size where that is more than half of the image's, else to the 2, 4, 8 ... times of it that is,
    then averages 2 x 2, 4 x 4, 8 x 8 ... pixels. It computes in whole numbers, so every processor gives the same pixels
    (OpenCV's INTER_LINEAR does not).
    """
    rows, columns = image.shape[:2]
    near = width << _halvings(columns, width), height << _halvings(rows, height)
    if near != (columns, rows):
        image = cv2.resize(image, near, interpolation=cv2.INTER_LINEAR_EXACT)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if near != (width, height) else image


def _halvings(side: int, target: int) -> int:
    """How often a side, px, can be halved and still is at least the target, px; 0 where it is smaller."""
    return max((side // target).bit_length() - 1, 0)


def half_scales(image: Image) -> list[Image]:
    """Image -> [image, half, quarter]: averages of 2 x 2 and 4 x 4 pixels; sides are padded with black to multiples of
    4 px."""
    bottom, right = -image.shape[0] % 4, -image.shape[1] % 4
    if bottom or right:
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    half = resize(image, image.shape[1] // 2, image.shape[0] // 2)
    return [image, half, resize(half, half.shape[1] // 2, half.shape[0] // 2)]


def brightened(scales: Sequence[Image]) -> list[Image]:
    """Half scales of an image -> the same. In dim or colored light they become brighter: a channel whose brightest
    block of 16 x 16 px has a mean below LIT is multiplied so that it has it, by MOST_LIGHT at most.

    In images with a side of 16 px or fewer, a block has 4 x 4 px, so that no padding is in the brightest one.
    """
    quarter = scales[-1]
    blocks = quarter if min(quarter.shape[:2]) <= 4 else half_scales(quarter)[-1]
    brightest = np.maximum(blocks.reshape(-1, 3).max(axis=0), 1).astype(np.float32)
    factors = np.clip(np.float32(LIT) / brightest, 1, np.float32(MOST_LIGHT))
    if (factors == 1).all():
        return list(scales)
    table = np.floor(np.arange(256, dtype=np.float32)[:, None] * factors + np.float32(0.5))           # (256, 3)
    table = np.minimum(table, 255).astype(np.uint8)[None]
    return [cv2.LUT(scale, table) for scale in scales]


def shrink(scales: Sequence[Image], width: int, height: int) -> Image:
    """Half scales -> (height, width, 3), from the smallest that is as large: it has the fewest pixels to read."""
    source = next((image for image in reversed(scales[1:]) if image.shape[0] >= height and image.shape[1] >= width),
                  scales[0])
    return resize(source, width, height)


def level_sizes(height: int, width: int, min_face_size: float, window: int, factor: float) -> list[tuple[int, int]]:
    """Image size in px -> [(width, height)] px of the levels of its pyramid.

    On the first level a face of `min_face_size` px has `window` px; each next level is smaller by `factor`; the last
    one still holds one window.
    """
    sizes, scale = [], window / min_face_size
    while min(height, width) * scale >= window:
        sizes.append((max(round(width * scale), window), max(round(height * scale), window)))
        scale *= factor
    return sizes


def cut(image: Image, box: Sequence[int] | Indices | Floats) -> Image:
    """The part of the image in box (4,), whole pixels; black outside the image. A view if the box lies inside."""
    x1, y1, x2, y2 = map(int, box)
    inside = image[max(y1, 0):max(y2, 0), max(x1, 0):max(x2, 0)]
    if inside.shape[:2] == (y2 - y1, x2 - x1):
        return inside
    part = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    if inside.size:
        top, left = max(-y1, 0), max(-x1, 0)
        part[top:top + inside.shape[0], left:left + inside.shape[1]] = inside
    return part


def crop(image: Image, boxes: Floats | Indices, size: int) -> Image:
    """Image, boxes (N, 4) on whole pixels -> uint8 (N, size, size, 3), black outside the image."""
    return crop_scaled([image], boxes, size)


def crop_scaled(scales: Sequence[Image], boxes: Floats | Indices, size: int) -> Image:
    """Half scales, boxes (N, 4) on whole pixels -> uint8 (N, size, size, 3): near `crop`, and faster for large boxes.

    As `resize`: it interpolates in the smallest scale in which the box is as large as the crop; boxes that have 2, 4,
    8 ... times the pixels there are averaged.
    """
    pixels: Indices = np.asarray(boxes).astype(int)
    crops = np.empty((len(pixels), size, size, 3), np.uint8)
    if max(scales[0].shape) > LARGEST:
        for out, box in zip(crops, pixels):
            out[:] = resize(cut(scales[0], box), size, size)
        return crops
    halvings = np.maximum(np.frexp(longer_side(pixels) / size)[1] - 1, 0)
    for times in np.unique(halvings).tolist():
        scale = min(times, len(scales) - 1)
        side = size << min(times - scale, MOST_HALVINGS)
        chosen, step = np.nonzero(halvings == times)[0], max(SAMPLED // side ** 2, 1)
        for some in np.split(chosen, range(step, len(chosen), step)):
            crops[some] = _interpolated(scales[scale], pixels[some], side, scale, size)
    return crops


def _interpolated(image: Image, boxes: Indices, side: int, halvings: int, size: int) -> Image:
    """Image that was halved so often, boxes (N, 4) px of the image before -> crops (N, size, size, 3), the means of
    side x side interpolated pixels."""
    steps, unit = 2 * np.arange(side) + 1, 2 * side << halvings
    corners, sides = boxes[:, :2, None], (boxes[:, 2:] - boxes[:, :2])[:, :, None]
    places = (PARTS * (2 * side * corners + steps * sides) + unit // 2) // unit - PARTS // 2       # (N, 2, side)
    places = places.clip(-2 * PARTS, (LARGEST + 1) * PARTS)
    whole, part = (places // PARTS).astype(np.int16), (places % PARTS).astype(np.uint16)
    pixels = np.empty((len(boxes), side, side, 2), np.int16)
    pixels[..., 0], pixels[..., 1] = whole[:, 0, None, :], whole[:, 1, :, None]
    parts = PARTS * part[:, 1, :, None] + part[:, 0, None, :]
    row = math.gcd(ROWS, side) * side
    crops = cv2.remap(image, pixels.reshape(-1, row, 2), parts.reshape(-1, row), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_CONSTANT)
    if side > size:
        crops = cv2.resize(crops.reshape(-1, side, 3), (size, len(boxes) * size), interpolation=cv2.INTER_AREA)
    return crops.reshape(-1, size, size, 3)


def rotate_points(points: Floats, box: Floats, degrees: float) -> Floats:
    """Points (P, 2) px -> the points rotated counter-clockwise around the center of box (4,)."""
    turn = cv2.getRotationMatrix2D(_center(box), degrees, 1.0)   # (2, 3)
    return (points @ turn[:, :2].T + turn[:, 2]).astype(np.float32)


def rotated_crop(image: Image, box: Floats, size: int, degrees: float) -> Image:
    """The crop uint8 (size, size, 3) of box (4,), whole pixels, from the image rotated like that; black outside."""
    x1, y1, x2, y2 = (int(v) for v in box)
    x, y = _center(box)
    turn = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), degrees, 1.0)   # OpenCV counts from the centers of pixels
    turn[:, 2] -= (x1, y1)
    return resize(cv2.warpAffine(image, turn, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR), size, size)


def _center(box: Floats) -> tuple[float, float]:
    return (float(box[0]) + float(box[2])) / 2, (float(box[1]) + float(box[3])) / 2


def mirror(image: Image) -> Image:
    """Image or crops (..., W, 3) -> flipped horizontally."""
    return image[..., ::-1, :]
