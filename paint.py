"""From a picture to a painting video: `python paint.py PICTURE`; `--serve` for ComfyUI by hand, `--download` for the models.

Several pictures or folders are painted one after the other, with `--cluster` on many machines; what is there is skipped.
`python paint.py --what-is FILE` tells what a file says of how it was made.

Everything runs in a real ComfyUI with this pack in it: the one named by COMFYUI_PATH, the one around this folder, or
one that is made inside this folder at the first run.
"""

import argparse
import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MAX_HOLD_SECONDS = 60
MAX_VIDEO_SECONDS = 600
MAX_VARIANTS = 16
CLUSTER_PACKAGES = ROOT / "requirements-cluster.txt"

# The Python of the portable Windows build does not search the folder of the script for modules.
sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("paint.py")

from paintsundo_models.constants import DEFAULT_SEGMENT_PROMPT  # noqa: E402
from tools.command import run_command  # noqa: E402
from tools.downloader import add_download_options  # noqa: E402
from tools.sources import expanded  # noqa: E402
from tools.under_comfyui import installation_of_this_run, run_under_comfyui  # noqa: E402
from tools.what_is import describe  # noqa: E402


def given_text(text: str) -> str:
    """Refuse an empty text, such as that of a shell's variable that is not set; argparse shows the message."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def given_path(text: str) -> Path:
    """Parse a path; an empty one would be the current folder."""
    return Path(given_text(text))


def hold_seconds(text: str) -> float:
    """Parse seconds for the hold_last widget of Assemble Video; argparse shows the message if they are invalid."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_HOLD_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {MAX_HOLD_SECONDS}")
    return seconds


def variant_count(text: str) -> int:
    """Parse the number of variants; argparse shows the message if it is invalid."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_VARIANTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_VARIANTS}")
    return int(text)


def video_seconds(text: str) -> float:
    """A length that the last node takes; argparse shows the reason where it is none."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_VIDEO_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to {MAX_VIDEO_SECONDS}")
    return seconds


def port_number(text: str) -> int:
    """Parse the port of a server; argparse shows the message if it is none."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it is a number from 1 to 65535")
    return int(text)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="paint.py",
        description="Make a video of how a picture could have been painted, in a real ComfyUI.",
        epilog="COMFYUI_PATH (and COMFYUI_PYTHON) name a ComfyUI of your own; without it one is made in .host/.",
    )
    parser.add_argument(
        "pictures",
        nargs="*",
        type=given_text,
        metavar="PICTURE",
        help="the finished picture, any size and format; several, or folders with their sub-folders, are painted one after "
        "the other, and what is painted already is skipped",
    )
    parser.add_argument(
        "--output",
        type=given_path,
        help="the video to write; the format gives the ending, and a name that exists gets a number "
        "(default: output/PICTURE_painting.mp4); of several pictures, the folder of the videos",
    )
    parser.add_argument("--seed", type=int, help="another number gives another painting process")
    parser.add_argument(
        "--variants",
        type=variant_count,
        metavar="N",
        help="N videos, 1 to 16, of seeds that count up from --seed, and before them one sheet of all keyframes to choose from",
    )
    parser.add_argument(
        "--steps",
        type=int,
        help="sampling steps of both models, 1 to 1000; fewer are faster and rougher (default: 50; with --fast 20 and 16, on the demo 8 and 4)",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="fewer steps and less guidance: a quarter of the sampling work, a little rougher",
    )
    parser.add_argument(
        "--operation-steps",
        help='keyframes as numbers of undone operations, 0 to 999, such as "400, 800, 999"',
    )
    parser.add_argument("--prompt", help="what the picture shows, as tags (default: the tagger's)")
    parser.add_argument(
        "--segment-prompt",
        help=f'what the frames between the keyframes show; keep it general (default: "{DEFAULT_SEGMENT_PROMPT}")',
    )
    add_video_options(parser)
    add_cluster_options(parser)
    parser.add_argument("--cpu", action="store_true", help="use the CPU even where there is a GPU")
    parser.add_argument("--serve", action="store_true", help="start ComfyUI with this pack for use by hand")
    parser.add_argument("--port", type=port_number, default=8188, help="port for --serve (default: 8188)")
    parser.add_argument(
        "--what-is",
        type=given_path,
        metavar="FILE",
        help="say what a video or picture says of how it was made, and do nothing else",
    )
    add_download_options(parser)
    return parser


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Add what is chosen for the video alone: its times and its format."""
    parser.add_argument(
        "--hold",
        type=hold_seconds,
        default=2.0,
        metavar="SECONDS",
        help="how much longer the finished picture stays at the end (default: 2)",
    )
    parser.add_argument(
        "--pace",
        nargs="?",
        metavar="HOW",
        choices=("equal", "ease"),
        const="equal",
        help="an even pace, 30 seconds, as large as the picture: equal (default), or ease, slower at both ends",
    )
    parser.add_argument(
        "--duration",
        type=video_seconds,
        metavar="SECONDS",
        help="how long the whole video lasts, at 24 frames a second (default: as its frames need; with --pace, 30)",
    )
    parser.add_argument("--format", type=given_text, help='such as "mp4 (h264)", "webm (vp9)", "gif"')


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Add what is chosen for many machines."""
    parser.add_argument(
        "--cluster",
        type=given_text,
        metavar="ADDRESS",
        help="paint on the workers of a Ray cluster: its address, auto (the cluster that runs here), or local (all of this machine)",
    )
    parser.add_argument(
        "--by",
        choices=("picture", "segment"),
        default="picture",
        metavar="UNIT",
        help="with --cluster: a worker makes a whole picture (default), or segment: several make the segments of one video",
    )


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; ends the program where it is wrong."""
    parser = command_line()
    options = parser.parse_intermixed_args(argv)
    if options.check and options.download is None:
        parser.error("--check goes with --download")
    wanted = [options.pictures or None, options.serve or None, options.what_is, options.download]
    if len(wanted) - wanted.count(None) != 1:
        parser.error("give one of PICTURE, --serve, --what-is FILE and --download")
    options.pictures = expanded(options.pictures)
    for path in options.pictures:
        if not path.is_file() and not path.is_dir():
            parser.error(f"there is no file or folder {path}")
    if options.by == "segment" and options.cluster is None:
        parser.error("--by segment goes with --cluster")
    return options


def main() -> int:
    """Run the command; return its exit code."""
    options = arguments()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # lines appear at once, and any file name can be shown
            stream.reconfigure(line_buffering=True, errors="replace")
    return run_command(lambda: paint(options))


def paint(options: argparse.Namespace) -> int:
    """Paint, serve or download under ComfyUI's Python, or look at a file without it; return the exit code."""
    if options.what_is is not None:
        print(describe(options.what_is))
        return 0
    installation = installation_of_this_run()
    if installation is None:
        if options.pictures:
            from tools.batch import check_first

            check_first(ROOT, options)
        return run_under_comfyui(__file__, CLUSTER_PACKAGES if options.cluster else None)
    from tools import batch, downloader, painter, studio

    if options.download:
        return downloader.run(studio.models_folder(installation) / "paintsundo", options)
    if options.serve:
        painter.serve(ROOT, installation, options.port, options.cpu)
        return 0
    if options.cluster:
        from tools import cluster

        return cluster.paint_on_cluster(ROOT, installation, options)
    if batch.is_many(options):
        return batch.paint_here(ROOT, installation, options)
    options.picture = options.pictures[0]
    painter.paint(ROOT, installation, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
