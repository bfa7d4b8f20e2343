#!/usr/bin/env bash
# OpenCV's own Motion JPEG writer stores the frame rate as a whole number.
#
# cv2.VideoWriter takes the rate as a float; CAP_OPENCV_MJPEG names the writer.
# Expected: a video of 500 frames at 12.5 frames/s lasts 40 s, or the writer refuses the rate.
# Seen: it opens, says nothing, and the file plays at 12 frames/s, 41.67 s; 7.5 becomes 8. Labels with times, and sound
# that is added later, run away from the pictures. FFmpeg's writer of the same format keeps the rate.
#
# opencv-python-headless 5.0.0.93, 40 s each:
#   12.5 frames/s   OpenCV 12.0, 41.67 s   FFmpeg 12.5, 40.00 s
#   7.5 frames/s    OpenCV 8.0, 37.50 s    FFmpeg 7.5, 40.00 s
#   25.0 frames/s   OpenCV 25.0, 40.00 s   FFmpeg 25.0, 40.00 s
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install opencv-python-headless==5.0.0.93 numpy==2.4.6

run <<'EOF'
import cv2
import numpy as np

frame = np.zeros((48, 64, 3), np.uint8)
seen = {}
for rate in (12.5, 7.5, 25.0):
    for name, backend in (("OpenCV", cv2.CAP_OPENCV_MJPEG), ("FFmpeg", cv2.CAP_FFMPEG)):
        writer = cv2.VideoWriter("film.avi", backend, cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
        if not writer.isOpened():
            raise SystemExit(f"{name} does not write {rate} frames/s as it did.")
        for _ in range(round(40 * rate)):
            writer.write(frame)
        writer.release()
        film = cv2.VideoCapture("film.avi")
        seen[rate, name] = film.get(cv2.CAP_PROP_FPS), film.get(cv2.CAP_PROP_FRAME_COUNT)
    print(f"{f'{rate} frames/s':16}" + "   ".join(
        f"{name} {seen[rate, name][0]}, {seen[rate, name][1] / seen[rate, name][0]:.2f} s"
        for name in ("OpenCV", "FFmpeg")))
if {key: rate for key, (rate, _) in seen.items()} != {
        (12.5, "OpenCV"): 12.0, (12.5, "FFmpeg"): 12.5, (7.5, "OpenCV"): 8.0, (7.5, "FFmpeg"): 7.5,
        (25.0, "OpenCV"): 25.0, (25.0, "FFmpeg"): 25.0}:
    raise SystemExit("The rates in the files are other ones than they were.")
EOF
