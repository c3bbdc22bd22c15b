"""A keyframe call and a segment on the CPU and then on the stand-in device; prints a JSON line a run. Run by test_other_device.py.

Arguments: the two checkpoints, then the runs on the device, each as "weight_dtype memory". The memory is "all" or, for
weights that stay on the CPU, "low". After a run with "low" the host keeps the weights there, so such runs come last.
"""

import importlib.util
import json
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("conftest", Path(__file__).parents[1] / "conftest.py")
_spec.loader.exec_module(
    importlib.util.module_from_spec(_spec)
)  # puts ComfyUI on the path and loads the pack

import comfy.model_management as mm  # noqa: E402
import torch  # noqa: E402
from paintsundo_pack.paintsundo_models import keyframes, loading, segments  # noqa: E402
from paintsundo_pack.paintsundo_models.host.objects import Prompts  # noqa: E402
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings  # noqa: E402

SINGLE, MULTI, *RUNS = sys.argv[1:]


def chain(dtype, steps):
    """Return the keyframes, the frames, and on which device each weight of the two networks is."""
    pictures = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    single = loading.load_single_frame(SINGLE, dtype)
    made = keyframes.predict_keyframes(
        single,
        pictures[:1],
        [0, 999],
        Prompts("1girl", "bad"),
        SamplerSettings(7, steps, 3.0, "dpmpp_2m", "karras"),
        width=64,
        height=64,
    )
    multi = loading.load_multi_frame(MULTI, dtype)
    frames = segments.interpolate(
        multi,
        (pictures[:1], pictures[1:]),
        Prompts("1girl", ""),
        SamplerSettings(5, steps, 7.5, "paintsundo_ddim", "trailing"),
        resolution="size of the pictures",
    ).frames
    weights = [p.device.type for model in (single[0], multi[0]) for p in model.model.parameters()]
    return made, frames, weights


with torch.inference_mode():
    runs = []
    for dtype, memory in (run.split() for run in RUNS):
        # Half precision takes many times as long on most processors.
        runs.append((dtype, memory, 3 if dtype == "fp32" else 1))
    expected = {steps: chain("fp32", steps)[:2] for steps in {steps for _, _, steps in runs}}
    mm.unload_all_models()
    import stand_in

    for dtype, memory, steps in runs:
        stand_in.make_host_compute_here(memory == "low")
        stand_in.waits.clear()
        with stand_in.OnDevice():
            *found, weights = chain(dtype, steps)
            mm.unload_all_models()
        pairs = zip(found, expected[steps], strict=True)
        report = {
            "devices": [result.device.type for result in found],
            "errors": [float((a.float() - b).abs().mean()) for a, b in pairs],
            "share_there": sum(kind == stand_in.NAME for kind in weights) / len(weights),
            "waits": {line: n for line, n in stand_in.waits.items() if "/paintsundo_models/" in line},
        }
        sys.stdout.write(f"{json.dumps(report)}\n")
