"""A keyframe call and a segment on the CPU and then on the stand-in device; prints a JSON line. Run by test_other_device.py.

Arguments: the two checkpoints, the weight_dtype on the device, and "low" for weights that stay on the CPU.
"""

import importlib.util
import json
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("conftest", Path(__file__).parents[1] / "conftest.py")
_spec.loader.exec_module(importlib.util.module_from_spec(_spec))  # ComfyUI and the pack on their paths

import comfy.model_management as mm  # noqa: E402
import torch  # noqa: E402
from paintsundo_pack.paintsundo_models import keyframes, loading, segments  # noqa: E402
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings  # noqa: E402

SINGLE, MULTI, DTYPE, MEMORY = sys.argv[1:]
STEPS = 3 if DTYPE == "fp32" else 1  # half precision takes many times as long on most processors


def chain(dtype):
    """Keyframes and frames, and how many weights of each network are on the device that computes."""
    pictures = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    single = loading.load_single_frame(SINGLE, dtype)
    made = keyframes.predict_keyframes(
        *single,
        pictures[:1],
        [0, 999],
        "1girl",
        "bad",
        SamplerSettings(7, STEPS, 3.0, "dpmpp_2m", "karras"),
        width=64,
        height=64,
    )
    multi = loading.load_multi_frame(MULTI, dtype)
    frames = segments.interpolate(
        *multi,
        (pictures[:1], pictures[1:]),
        "1girl",
        "",
        SamplerSettings(5, STEPS, 7.5, "paintsundo_ddim", "trailing"),
        resolution="size of the pictures",
    )
    weights = [p.device.type for model in (single[0], multi[0]) for p in model.model.parameters()]
    return made, frames, weights


with torch.inference_mode():
    expected = chain("fp32")
    mm.unload_all_models()
    import stand_in

    stand_in.make_host_compute_here(MEMORY == "low")
    with stand_in.OnDevice():
        *found, weights = chain(DTYPE)
ours = {line: count for line, count in stand_in.waits.items() if "/paintsundo_models/" in line}
report = {
    "devices": [result.device.type for result in found],
    "errors": [float((a.float() - b).abs().mean()) for a, b in zip(found, expected[:2], strict=True)],
    "share_there": sum(kind == stand_in.NAME for kind in weights) / len(weights),
    "waits": ours,
}
sys.stdout.write(f"{json.dumps(report)}\n")
