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
DTYPES = {
    "keep": None,
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp8_e4m3fn": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="pack_checkpoint.py", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("source", type=Path, help="released folder, or a single file, of either model")
    parser.add_argument(
        "target", type=Path, help="the new .safetensors file; an existing one is never overwritten"
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="fp16",
        help="type of the tensors (default: fp16); fp8 is used for the diffusion network's matrices, fp16 for the rest",
    )
    options = parser.parse_args(argv)

    sys.path.insert(0, str(ROOT))
    import torch

    from paintsundo_models.checkpoints.files import kind_on_disk, read_checkpoint, save_single_file
    from paintsundo_models.checkpoints.parts import PARTS, SINGLE_FRAME
    from paintsundo_models.errors import CheckpointError

    name = DTYPES[options.dtype]
    try:
        kind = kind_on_disk(options.source)
        if kind not in PARTS:  # reading it says what is wrong
            kind = SINGLE_FRAME
        save_single_file(read_checkpoint(options.source, kind), options.target, name and getattr(torch, name))
    except (CheckpointError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.target}: the {kind} model, {options.target.stat().st_size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
