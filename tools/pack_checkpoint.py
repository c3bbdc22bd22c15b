"""Write a checkpoint folder as one .safetensors file: `python tools/pack_checkpoint.py FOLDER FILE [--dtype fp16]`.

Needs torch and safetensors, such as ComfyUI's Python has, and no ComfyUI. The node Save PaintsUndo Checkpoint does the
same. Example, from ComfyUI's folder:

    python custom_nodes/comfyui-paintsundo/tools/pack_checkpoint.py models/paintsundo/paints_undo_multi_frame \\
        models/paintsundo/paints_undo_multi_frame_fp16.safetensors --dtype fp16
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEEP = "keep"


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    sys.path.insert(0, str(ROOT))
    from paintsundo_models.constants import WEIGHT_TYPES

    parser = argparse.ArgumentParser(
        prog="pack_checkpoint.py", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("source", type=Path, help="released folder, or a single file, of either model")
    parser.add_argument(
        "target", type=Path, help="the new .safetensors file; an existing one is never overwritten"
    )
    parser.add_argument(
        "--dtype",
        choices=(KEEP, *WEIGHT_TYPES),
        default="fp16",
        help="type of the tensors (default: fp16); fp8 is used for the diffusion network's matrices, fp16 for the rest",
    )
    options = parser.parse_args(argv)

    # Import what needs torch only now, so that --help works without it.
    from paintsundo_models.checkpoints.files import WEIGHT_DTYPES, read_checkpoint, save_single_file
    from paintsundo_models.checkpoints.finding import kind_on_disk
    from paintsundo_models.checkpoints.parts import PARTS, SINGLE_FRAME
    from paintsundo_models.errors import CheckpointError

    dtype = None if options.dtype == KEEP else WEIGHT_DTYPES[options.dtype]
    try:
        kind = kind_on_disk(options.source)
        if kind not in PARTS:
            kind = SINGLE_FRAME  # any kind: read_checkpoint raises an error that says what is wrong
        save_single_file(read_checkpoint(options.source, kind), options.target, dtype)
    except (CheckpointError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.target}: the {kind} model, {options.target.stat().st_size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
