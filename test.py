"""Finds faces in images, videos and live video: draws, blurs or crops them, writes them as JSON and CSV.

usage    python test.py                     the images in picture/
         python test.py PATH [PATH ...]     images, videos, folders (recursively), patterns in quotes: "a/**/*.jpg"
         python test.py --camera 0          live, in a window: q or Esc quits, s saves a frame
         python test.py --video FILE        the same with a video file or the address of a stream
reads    the images and videos; model/pnet.npz, rnet.npz, onet.npz
writes   <output>/<name>, a copy of each image or video (MPEG-4, without sound) with the faces drawn; files of a folder
         keep their relative paths. --camera and --video show a window if there is a display, else they write a video
exits    with 0; with 2 if a file could not be read or written (all others are done); with 3 if a camera or stream
         stalled or closed and --reconnect did not help; with 130 when stopped by Ctrl-C, 143 by SIGTERM, 141 when
         nobody reads its output any more. The results so far are kept: JSON, CSV and videos are whole
"""
import argparse
import sys
import time
from functools import partial
from pathlib import Path

import cv2
from tqdm import tqdm

from config import CASCADE, MIN_FACE_SIZE, MODEL, OUTPUT, PICTURE, PYRAMID_FACTOR
from detection import Detector, UserError
from detection.align import SIZE
from detection.engines import NAMED
from detection.errors import run_main
from detection.images import read
from detection.media import sources
from detection.media.draw import status
from detection.media.names import frame_label
from detection.media.results import Results, save
from detection.media.track import SEARCH, Follower
from detection.media.video import RECONNECT, STALL, StreamLost, Video
from detection.media.video_file import VideoFile
from detection.media.window import QUIT, SAVE, Window, available


def do_video(source: sources.Source, detector: Detector, results: Results, window: bool,
             args: argparse.Namespace) -> None:
    """Detects in each frame, or in one of --every, which then stands for the following ones; shows it in a window or
    writes a video; live frames show the frame rate."""
    video = Video(source, args.reconnect, partial(tqdm.write, file=sys.stderr))
    copied = results.writes_images and not window
    sink = Window(video.rate) if window else \
        VideoFile(results.output / source.relative, video.copy_rate() if copied else video.rate)
    follower = Follower(detector, args.search_every) if args.track else None
    start, count, before = time.monotonic(), 0, results.face_count
    try:
        with sink, tqdm(total=video.announced or None, unit=" frames", desc=video.name, disable=window) as bar:
            for frame in video.frames():
                if count % args.every == 0:
                    faces, ids = follower.detect(frame, video.time) if follower else (detector.detect(frame), None)
                    results.add_frame(source, count, frame, faces, video.time, ids)
                    image = results.render(frame, faces, ids)
                    if args.live:
                        rate = (count + 1) / (time.monotonic() - start)
                        image = status(image, f"{rate:.1f} frames/s, {len(faces)} faces")
                count += 1
                bar.update()
                if not window and not results.writes_images:
                    continue
                key = sink.write(image, video.time)
                if key == SAVE:
                    print(f"saved {save(results.output / f'{frame_label(source, count - 1)}.png', image)}")
                if key == QUIT:
                    break
            if copied:
                sink.hold(video.end)
    finally:
        print(f"{video.name}: {results.face_count - before} faces in {count} " +
              (f"of {video.announced} frames" if video.announced else "frames") +
              (f"; written to {sink.path} ({sink.codec}, {sink.count} frames)" if getattr(sink, "codec", 0) else ""))


def work(todo: list[sources.Source], detector: Detector, results: Results, window: bool,
         args: argparse.Namespace) -> int:
    """Detects in all sources; one that fails is reported and the next is done. Returns the exit code."""
    done, code, few = 0, 0, len(todo) < 10
    try:
        for source in tqdm(todo, unit=" files", disable=few):
            try:
                if source.kind == "video":
                    do_video(source, detector, results, window, args)
                else:
                    image = read(source.where)
                    stages = detector.trace(image)
                    results.add_image(source, image, stages)
                    if few:
                        print(f"{source.where}: {len(stages[-1])} {'face' if len(stages[-1]) == 1 else 'faces'}")
                done += 1
            except UserError as error:
                code = 2 if code == 2 or not isinstance(error, StreamLost) else 3
                tqdm.write(f"error: {error}", file=sys.stderr)
            except (MemoryError, cv2.error) as error:
                if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
                    raise
                code = 2
                tqdm.write(f"error: {source.where}: takes more memory than there is; raise --min-face, or shrink it",
                           file=sys.stderr)
    finally:
        results.close()
        places = [(results.writes_images and not window or results.explained) and results.output, results.crops,
                  results.json_file, results.csv_file]
        written = [str(place) for place in places if place and results.count]
        print(f"{results.face_count} faces in {done} of {len(todo)} files" +
              (f"; written: {', '.join(written)}" if written else ""))
        if results.blurred:
            print("only the faces that were found are blurred: check each image; lower --thresholds find more faces")
    return code


def main(args: argparse.Namespace) -> int:
    """Returns the exit code."""
    if args.live:
        todo = [sources.camera(args.camera) if args.video is None else sources.video(args.video)]
    else:
        todo, left_out = sources.find(args.paths or [PICTURE], args.output)
        print("".join(f"{line}\n" for line in left_out), end="")
        given = [name for name, value in (("--every", args.every > 1), ("--track", args.track)) if value]
        if given and not any(source.kind == "video" for source in todo):
            print(f"no video there: {', '.join(given)} change{'s' * (len(given) == 1)} nothing")
    if args.explain and any(source.kind == "video" for source in todo):
        raise UserError("--explain is for images; leave out the videos or the option")
    results = Results(args.output, not args.no_draw, args.blur, args.explain, args.crops, args.json, args.csv,
                      args.crop_size, args.margin, args.track)
    results.check(todo)
    try:
        detector = Detector(args.model, args.min_face, args.thresholds, args.factor, largest=args.largest,
                            rotate=args.rotate, engine=args.engine)
    except ValueError as error:
        raise UserError(str(error)) from None
    if not detector.has_landmarks:
        if args.crops:
            raise UserError(f"{args.model}: was trained without landmarks, by which --crops aligns faces; leave it out")
        print(f"{args.model}: trained without landmarks; faces have boxes and scores only")
    window = args.live and not args.no_window and available()
    if args.live:
        print("in a window: q or Esc quits, s saves a frame; --no-window writes a video instead" if window else
              f"no window{'' if args.no_window else ', as there is no display'}: writing to {args.output}; "
              "Ctrl-C ends it")
    return work(todo, detector, results, window, args)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("input")
    group.add_argument("paths", nargs="*", metavar="PATH", help="image, video, folder, pattern in quotes, or address")
    group.add_argument("--camera", type=int, metavar="N", help="camera number, from 0")
    group.add_argument("--video", metavar="FILE", help="video file, or address of a stream")
    group = parser.add_argument_group("detection")
    group.add_argument("--min-face", type=float, default=MIN_FACE_SIZE, metavar="PX",
                       help=f"smallest face to find (default: {MIN_FACE_SIZE}); larger is faster")
    group.add_argument("--thresholds", type=float, nargs=3, metavar=("P", "R", "O"),
                       help="of the face score after each net, 0 to 1 (default: "
                            f"{' '.join(str(s.threshold) for s in CASCADE)}); lower finds more, also false positives")
    group.add_argument("--factor", type=float, default=PYRAMID_FACTOR,
                       help=f"from one pyramid level to the next (default: {PYRAMID_FACTOR})")
    group.add_argument("--model", "--models", type=Path, default=MODEL, metavar="DIR", help="weights (default: model/)")
    group.add_argument("--largest", action="store_true", help="only the largest face of each image or frame")
    group.add_argument("--rotate", action="store_true",
                       help="find faces turned by 90, 180 or 270 degrees too; takes four times as long")
    group.add_argument("--engine", choices=NAMED, help=f"what runs the nets: {', '.join(NAMED)} (default: the fastest "
                       "that is installed and loses nothing)")
    group.add_argument("--every", type=int, default=1, metavar="N",
                       help="of videos: detect in one of N frames, which stands for the following ones (default: 1)")
    group.add_argument("--track", action="store_true",
                       help="of videos: an id for each face, the same in all frames, in JSON, CSV and drawings")
    group.add_argument("--search-every", type=int, metavar="N",
                       help="with --track: search one of N frames whole and follow the faces in between, which takes "
                            f"less time; new faces are found by the next search (default: {SEARCH}; 1 with --rotate "
                            "or --largest)")
    group.add_argument("--reconnect", type=int, default=RECONNECT, metavar="N",
                       help=f"times in a row that a camera or stream is opened again when it closes, or stalls for "
                            f"{STALL:.0f} s (default: {RECONNECT})")
    group = parser.add_argument_group("output")
    group.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR",
                       help="folder of images and videos (default: output/)")
    group.add_argument("--no-draw", action="store_true", help="draw nothing; without --blur, write no images")
    group.add_argument("--blur", action="store_true", help="make the faces that are found unrecognizable")
    group.add_argument("--explain", action="store_true", help="<name>-explain.png: what each net keeps and drops")
    group.add_argument("--crops", type=Path, metavar="DIR", help="faces, aligned by their landmarks")
    group.add_argument("--crop-size", type=int, default=SIZE, metavar="PX", help=f"side of --crops (default: {SIZE})")
    group.add_argument("--margin", type=float, default=0, metavar="SHARE",
                       help="of the side, shown in addition on each side of --crops (default: 0)")
    group.add_argument("--json", type=Path, metavar="FILE", help="boxes, scores and landmarks, px")
    group.add_argument("--csv", type=Path, metavar="FILE", help="the same, one line per face")
    group.add_argument("--no-window", action="store_true", help="--camera, --video: write a video instead")
    args = parser.parse_args()
    if bool(args.paths) + (args.camera is not None) + (args.video is not None) > 1:
        parser.error("give paths, --camera or --video, only one of the three")
    args.live = args.camera is not None or args.video is not None
    if args.no_window and not args.live:
        parser.error("--no-window is for --camera and --video; leave it out")
    streams = args.camera is not None or any(map(sources.is_stream, [*args.paths, args.video or ""]))
    if args.reconnect != RECONNECT and not streams:
        parser.error("--reconnect is for cameras and streams; leave it out")
    if args.search_every is not None and not args.track:
        parser.error("--search-every is for --track; add it")
    if args.search_every is None:
        args.search_every = 1 if args.rotate or args.largest else SEARCH
    if min(args.every, args.search_every) < 1 or args.reconnect < 0:
        parser.error("--every and --search-every must be at least 1, --reconnect at least 0")
    if args.search_every > 1 and (args.rotate or args.largest):
        parser.error("--search-every follows upright faces, and all of them; leave out --rotate and --largest")
    if args.blur and args.crops:
        parser.error("--blur hides the faces that --crops would save; leave out one of them")
    if args.blur and args.largest:
        parser.error("--largest would leave all other faces without --blur; leave out one of them")
    if args.crop_size < 1 or not 0 <= args.margin < 10:
        parser.error("--crop-size must be at least 1 px, and --margin from 0 to 10")
    if not args.crops and (args.crop_size, args.margin) != (SIZE, 0):
        parser.error("--crop-size and --margin say how --crops are made; add --crops DIR")
    return args


if __name__ == "__main__":     # so that importing the standard library's `test` runs nothing
    sys.exit(run_main(main, parse(), stopped="stopped; the results so far are kept"))
