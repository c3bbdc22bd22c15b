"""Run the original program on one picture: `python original_program.py JOB RESULT`; compare_chain.py starts it.

JOB is a JSON file with the fields of Job, RESULT the safetensors file to write. The program is that of the checkout, up to its
video functions; original_stand_ins.py says what stands in for what it lacks here. Everything is in float32.
"""

import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # started as a script
    sys.path.insert(0, str(ROOT))

from benchmarks import original_stand_ins as stand_ins  # noqa: E402
from benchmarks.machine import peak_bytes, processor_seconds  # noqa: E402
from tools.launch_comfyui import install_torchvision_finder  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Job:
    """What the program is to paint.

    Attributes:
        checkout: folder of the original.
        folder: its working directory, with the exported checkpoints.
        picture: a picture file.
        width, height: of the keyframes.
        sizes: sizes of segments to choose from, (height, width).
        operation_width: width of the operation step's embedding.
        operation_steps: in rising order.
        prompt, negative_prompt, segment_prompt: texts.
        keyframe_seed, segment_seed: the second is that of the first segment.
        steps: sampling steps of the keyframes and of each segment.
        keyframe_cfg, segment_cfg: guidance.
    """

    checkout: str
    folder: str
    picture: str
    width: int
    height: int
    sizes: list[list[int]]
    operation_width: int
    operation_steps: list[int]
    prompt: str
    negative_prompt: str
    segment_prompt: str
    keyframe_seed: int
    segment_seed: int
    steps: int
    keyframe_cfg: float
    segment_cfg: float


def main(job_file: str, result: str) -> None:
    """Run a job and write its result."""
    job = Job(**json.loads(Path(job_file).read_text(encoding="utf-8")))
    result_file = Path(result).resolve()
    os.chdir(job.folder)
    program = load_program(job)
    tensors, seconds = paint(program, job)
    figures = {**seconds, "peak": peak_bytes(os.getpid())}
    from safetensors.torch import save_file

    save_file(tensors, result_file, metadata={"figures": json.dumps(figures)})


def load_program(job: Job) -> Any:
    """Import the checkout's program, which loads its models, and put the models into float32."""
    import torch
    from safetensors.torch import load_file

    sys.path.insert(0, job.checkout)
    install_torchvision_finder()
    stand_ins.replace_xformers()
    stand_ins.replace_page_and_memory_manager()
    stand_ins.adapt_modules(job.operation_width)
    program: Any = importlib.import_module("gradio_app")
    sizes = [(height, width) for height, width in job.sizes]
    program.find_best_bucket = stand_ins.with_sizes(program.find_best_bucket, sizes)
    components = program.video_pipe.loading_components.values()
    for network in (program.unet, program.vae, program.text_encoder, *components):
        if isinstance(network, torch.nn.Module):
            network.float()
    # The program rounds this one to bfloat16; the others are float16, as the demo's weights are.
    (weights,) = Path(program.model_name, "vae").glob("*.safetensors")
    program.vae.load_state_dict(load_file(weights))
    return program


def paint(program: Any, job: Job) -> tuple[dict[str, Any], dict[str, float]]:
    """Run the program's two functions as its page does.

    Returns:
        Tensors: "keyframes" (N, H, W, 3) uint8, as the program passes them on, with the picture and the canvas;
        "predicted" (N - 2, H, W, 3) float32, before they are rounded; "segments" (N - 1, 16, h, w, 3) float32, all in
        undo order and from 0 to 1. Seconds of processor time: "start", "keyframes", "segments".
    """
    import numpy as np
    import torch
    from PIL import Image

    kept: list[torch.Tensor] = []
    segments: list[torch.Tensor] = []
    make_pixels, make_segment = program.pytorch2numpy, program.process_video_inner

    def keep_pixels(pixels: Any) -> Any:
        kept.extend(pixels.float())
        return make_pixels(pixels)

    def keep_segment(*inputs: Any, **settings: Any) -> Any:
        made = make_segment(*inputs, **settings)
        segments.append(made[0].float())
        return made

    program.pytorch2numpy, program.process_video_inner = keep_pixels, keep_segment
    # The file of the video is left out on both sides.
    program.save_bcthw_as_mp4 = lambda video, *_, **__: video
    picture = np.array(Image.open(job.picture).convert("RGB"))
    times = [processor_seconds(os.getpid())]
    keyframes = program.process(
        picture,
        job.prompt,
        job.operation_steps,
        job.width,
        job.height,
        job.keyframe_seed,
        job.steps,
        job.negative_prompt,
        job.keyframe_cfg,
    )
    times.append(processor_seconds(os.getpid()))
    gallery = []
    for number, keyframe in enumerate(keyframes):
        file = f"keyframe{number}.png"
        Image.fromarray(keyframe).save(file)
        gallery.append((file, None))
    program.process_video(
        gallery, job.segment_prompt, job.steps, job.segment_cfg, 4, job.segment_seed, stand_ins.PagePart()
    )
    times.append(processor_seconds(os.getpid()))
    tensors = {
        "keyframes": torch.from_numpy(np.stack(keyframes)),
        "predicted": unit_range(torch.stack(kept).movedim(1, -1)),
        "segments": unit_range(torch.cat(segments).movedim(1, -1)),
    }
    return tensors, {
        "start": times[0],
        "keyframes": times[1] - times[0],
        "segments": times[2] - times[1],
    }


def unit_range(pixels: Any) -> Any:
    """Return pixels from -1...1 as 0...1, cut off at both ends."""
    return ((pixels + 1) / 2).clamp(0, 1).contiguous()


if __name__ == "__main__":
    main(*sys.argv[1:])
