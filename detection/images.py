"""All pixel work. Images are uint8 (H, W, 3) in BGR order, as OpenCV gives them."""
import cv2
import numpy as np

from config import PIXEL_MEAN, PIXEL_SCALE
from detection.boxes import longer_side
from detection.errors import UserError

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def read(path):
    """The image in file `path`: uint8 (H, W, 3). UserError where there is none or it does not decode."""
    try:
        data = np.fromfile(path, np.uint8)   # not cv2.imread, which cannot open every file name on every system
    except (OSError, ValueError) as error:           # ValueError: no file can have this name
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); check the name and the "
                        "permissions") from None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size and not _png_is_cut(data) else None
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise UserError(f"{path}: has more pixels than is safe to decode; shrink it, or set the environment "
                            "variable OPENCV_IO_MAX_IMAGE_PIXELS to more if you trust it") from None
        image = None
    if image is None:
        raise UserError(f"{path}: is not an image that OpenCV can decode; convert it to JPEG or PNG, or remove it")
    return image


def _png_is_cut(data):
    """Whether uint8 (N,) is a PNG with a chunk that claims more bytes than follow; OpenCV would reserve up to 4 GB.

    Chunks: length 4, type 4, data, checksum 4. Source: W3C, "Portable Network Graphics", section 5.
    """
    data, position = memoryview(data), 8
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    while position + 12 <= len(data) and data[position + 4:position + 8] != b"IEND":
        position += 12 + int.from_bytes(data[position:position + 4], "big")
    return position + 12 > len(data)


def check(image):
    """Raises ValueError unless `image` is uint8 (H, W, 3) with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 \
            or image.shape[2] != 3 or image.size == 0:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"an image must be a uint8 array (height, width, 3) in BGR order, not {found}{_way(image)}")


def _way(image):
    """How such an array becomes an image, where that is known."""
    if not isinstance(image, np.ndarray) or not image.size:
        return ""
    if image.dtype.kind == "f":
        return "; pixels in 0..1 become one by (255 * image).round().astype(np.uint8)"
    code = "GRAY2BGR" if image.ndim == 2 else "BGRA2BGR" if image.ndim == 3 and image.shape[2] == 4 else None
    return f"; cv2.cvtColor(image, cv2.COLOR_{code}) makes one of it" if code and image.dtype == np.uint8 else ""


def normalise(pixels):
    """Pixels 0..255, float -> what the nets see, about -1..1. For NumPy arrays and for tensors."""
    return (pixels - PIXEL_MEAN) * PIXEL_SCALE


def resize(image, width, height):
    """Image -> (height, width, 3); averages what it shrinks, so that nothing aliases.

    Down to a quarter of the width it interpolates to twice the size, then averages 2 x 2: about what averaging over
    each pixel's area gives, and several times faster in OpenCV.
    """
    rows, columns = image.shape[:2]
    if width * height >= rows * columns:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if (columns, rows) != (2 * width, 2 * height) and columns <= 4 * width and rows <= 4 * height:
        image = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def half_scales(image):
    """Image -> [image, half, quarter]: averages of 2 x 2 and of 4 x 4 pixels, black where the last are incomplete."""
    bottom, right = -image.shape[0] % 4, -image.shape[1] % 4
    if bottom or right:
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    half = resize(image, image.shape[1] // 2, image.shape[0] // 2)
    return [image, half, resize(half, half.shape[1] // 2, half.shape[0] // 2)]


def shrink(halved, width, height):
    """Halvings -> (height, width, 3), from the smallest that is twice as large: no level reads all pixels."""
    source = next((image for image in reversed(halved[1:]) if image.shape[0] >= 2 * height and
                   image.shape[1] >= 2 * width), halved[0])
    return resize(source, width, height)


def level_sizes(height, width, min_face_size, window, factor):
    """Image size in px -> [(width, height)] of the pyramid's levels, at which a `window` px net finds faces.

    The first level shows faces of `min_face_size` px, each next one is smaller by `factor`, the last still holds one
    window.
    """
    sizes, scale = [], window / min_face_size
    while min(height, width) * scale >= window:
        sizes.append((max(round(width * scale), window), max(round(height * scale), window)))
        scale *= factor
    return sizes


def cut(image, box):
    """The part of the image in box (4,), whole pixels, black where the box leaves the image; never edits it."""
    x1, y1, x2, y2 = map(int, box)
    inside = image[max(y1, 0):max(y2, 0), max(x1, 0):max(x2, 0)]
    if inside.shape[:2] == (y2 - y1, x2 - x1):
        return inside
    part = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    if inside.size:
        top, left = max(-y1, 0), max(-x1, 0)
        part[top:top + inside.shape[0], left:left + inside.shape[1]] = inside
    return part


def crop(image, boxes, size):
    """Image, boxes (N, 4) on whole pixels -> uint8 (N, size, size, 3), black outside the image."""
    return crop_scaled([image], boxes, size)


def crop_scaled(halved, boxes, size):
    """Halvings, boxes (N, 4) on whole pixels -> about what `crop` gives, sooner for large boxes.

    The half or quarter is cut where the box lies on whole pixels of it and still has two for one of the crop's.
    """
    boxes = np.asarray(boxes).astype(int)
    crops = np.empty((len(boxes), size, size, 3), np.uint8)
    for out, box, side in zip(crops, boxes.tolist(), longer_side(boxes).tolist()):
        source = 0
        while source + 1 < len(halved) and side >= 4 * size << source and not any(v % (2 << source) for v in box):
            source += 1
        out[:] = resize(cut(halved[source], [v >> source for v in box]), size, size)
    return crops


def rotate_points(points, box, degrees):
    """Points (P, 2) px -> where they are after a turn, counter-clockwise, around the centre of box (4,)."""
    turn = cv2.getRotationMatrix2D(_centre(box), degrees, 1.0)   # (2, 3)
    return (points @ turn[:, :2].T + turn[:, 2]).astype(np.float32)


def rotated_crop(image, box, size, degrees):
    """The image turned like that, cut at box (4,), whole pixels -> uint8 (size, size, 3), black outside."""
    x1, y1, x2, y2 = (int(v) for v in box)
    x, y = _centre(box)
    turn = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), degrees, 1.0)   # OpenCV counts from the pixels' centres
    turn[:, 2] -= (x1, y1)
    return resize(cv2.warpAffine(image, turn, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR), size, size)


def _centre(box):
    return (float(box[0]) + float(box[2])) / 2, (float(box[1]) + float(box[3])) / 2


def mirror(image):
    """Image (..., W, 3) with left and right exchanged."""
    return image[..., ::-1, :]
