"""Finds faces in pictures, videos and live pictures: draws, blurs or cuts them out, writes them as JSON and CSV.

usage    python test.py                     the pictures in picture/
         python test.py PATH [PATH ...]     pictures, videos, folders with all that is in them, "patterns/**/*.jpg"
         python test.py --camera 0          live, in a window: q or Esc leaves, s saves a frame
         python test.py --video FILE        the same with a video file or the address of a stream
reads    the pictures; model/pnet.npz, rnet.npz, onet.npz
writes   <output>/<name>, one drawn copy a picture or video (MPEG-4, without sound); a folder's files keep their place
         below it. --camera and --video show a window where there is a display, and write a video where there is none.
ends     with 0; 2 when something could not be read or written (all else is done); 130 when stopped (what is done is
         kept)
"""
import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from config import CASCADE, MIN_FACE_SIZE, MODEL, OUTPUT, PICTURE, PYRAMID_FACTOR
from detection import Detector, UserError
from detection.media import sources
from detection.media.draw import status
from detection.errors import run_main
from detection.images import read
from detection.media.results import Results, frame_label, save
from detection.media.video_file import VideoFile
from detection.media.window import QUIT, SAVE, Window, available


def do_video(source, detector, results, window, live):
    """Detects in each frame; shows it in a window or writes a video, with the frame rate on it where it is live."""
    video = sources.Video(source)
    sink = Window(video.rate) if window else VideoFile(results.output / source.relative, video.rate)
    start, count, before = time.monotonic(), 0, results.face_count
    try:
        with sink, tqdm(total=video.announced or None, unit=" frames", desc=video.name, disable=window) as bar:
            for frame in video.frames():
                faces = detector.detect(frame)
                results.frame(source, count, frame, faces)
                count += 1
                bar.update()
                if not window and not results.makes_pictures:
                    continue
                image = results.render(frame, faces)
                if live:
                    image = status(image, f"{count / (time.monotonic() - start):.1f} frames/s, {len(faces)} faces")
                key = sink.write(image)
                if key == SAVE:
                    print(f"saved {save(results.output / f'{frame_label(source, count - 1)}.png', image)}")
                if key == QUIT:
                    break
    finally:
        print(f"{video.name}: {results.face_count - before} faces in {count} " +
              (f"of {video.announced} frames" if video.announced else "frames") +
              (f"; written to {sink.path} ({sink.codec}, {sink.count} frames)" if getattr(sink, "codec", 0) else ""))


def work(todo, detector, results, window, live):
    """Detects in all that is to be done, going on past what fails; returns how much failed."""
    done, failed, few = 0, 0, len(todo) < 10
    try:
        for source in tqdm(todo, unit=" files", disable=few):
            try:
                if source.kind == "video":
                    do_video(source, detector, results, window, live)
                else:
                    image = read(source.where)
                    stages = detector.trace(image)
                    results.picture(source, image, stages)
                    if few:
                        print(f"{source.where}: {len(stages[-1])} {'face' if len(stages[-1]) == 1 else 'faces'}")
                done += 1
            except UserError as error:
                failed += 1
                tqdm.write(f"error: {error}", file=sys.stderr)
    finally:
        results.write_tables()
        places = [results.makes_pictures and not window and results.output, results.crops, results.json_file,
                  results.csv_file]
        written = [str(place) for place in places if place and results.rows]
        print(f"{results.face_count} faces in {done} of {len(todo)} files" +
              (f"; written: {', '.join(written)}" if written else ""))
        if results.blurred:
            print("only the faces that were found are blurred: look at each picture; lower --thresholds find more")
    return failed


def main(args):
    """Returns how many files could not be done."""
    live = args.camera is not None or args.video is not None
    if live:
        todo = [sources.camera(args.camera) if args.video is None else sources.video(args.video)]
    else:
        todo, left_out = sources.find(args.paths or [PICTURE], args.output)
        if left_out:
            print(f"left out, as results of earlier runs: {left_out} in {args.output}")
    if args.explain and any(source.kind == "video" for source in todo):
        raise UserError("--explain draws sheets of pictures; leave out the videos or the option")
    results = Results(args.output, not args.no_draw, args.blur, args.explain, args.crops, args.json, args.csv)
    results.check(todo)
    try:
        detector = Detector(args.model, args.min_face, args.thresholds, args.factor)
    except ValueError as error:
        raise UserError(str(error)) from None
    window = live and not args.no_window and available()
    if live:
        print("in a window: q or Esc leaves, s saves a frame; --no-window writes a video instead" if window else
              f"no window{'' if args.no_window else ', as there is no display'}: writing to {args.output}; "
              "Ctrl-C ends it")
    return work(todo, detector, results, window, live)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("what is looked at")
    group.add_argument("paths", nargs="*", metavar="PATH", help="picture, video, folder, pattern in quotes, or address")
    group.add_argument("--camera", type=int, metavar="N", help="camera number, from 0")
    group.add_argument("--video", metavar="FILE", help="video file, or address of a stream")
    group = parser.add_argument_group("how faces are found")
    group.add_argument("--min-face", type=float, default=MIN_FACE_SIZE, metavar="PX",
                       help=f"smallest face looked for (default: {MIN_FACE_SIZE}); larger is faster")
    group.add_argument("--thresholds", type=float, nargs=3, metavar=("P", "R", "O"),
                       help="of the face score after each net, 0 to 1 (default: "
                            f"{' '.join(str(s.threshold) for s in CASCADE)}); lower finds more, and more that is none")
    group.add_argument("--factor", type=float, default=PYRAMID_FACTOR,
                       help=f"from one pyramid level to the next (default: {PYRAMID_FACTOR})")
    group.add_argument("--model", "--models", type=Path, default=MODEL, metavar="DIR", help="weights (default: model/)")
    group = parser.add_argument_group("what is written")
    group.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="pictures (default: output/)")
    group.add_argument("--no-draw", action="store_true", help="draw nothing; without --blur, write no pictures")
    group.add_argument("--blur", action="store_true", help="make the faces that are found unrecognisable")
    group.add_argument("--explain", action="store_true", help="<name>-explain.png: what each net kept and dropped")
    group.add_argument("--crops", type=Path, metavar="DIR", help="faces, turned upright by their points, 112 x 112 px")
    group.add_argument("--json", type=Path, metavar="FILE", help="boxes, scores and points, px")
    group.add_argument("--csv", type=Path, metavar="FILE", help="the same, one line a face")
    group.add_argument("--no-window", action="store_true", help="--camera, --video: write a video instead")
    args = parser.parse_args()
    if bool(args.paths) + (args.camera is not None) + (args.video is not None) > 1:
        parser.error("give paths, --camera or --video, one of the three")
    if args.blur and args.crops:
        parser.error("--blur hides the faces that --crops would save; leave one of them out")
    return args


if __name__ == "__main__":     # also keeps this file harmless to those who import the standard library's `test`
    sys.exit(2 if run_main(main, parse(), stopped="stopped; what was done is kept") else 0)
