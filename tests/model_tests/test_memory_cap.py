"""Under a real limit on a process's memory the whole of a stage does not fit, and less at once does, with the same result.

Run as a program (conftest.py, model, its folder), this file measures what each way takes, caps its own memory between
the two, runs again and prints what happened.
"""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CONFTEST = Path(__file__).parents[1] / "conftest.py"
STATUS = Path("/proc/self/status")
ROOM = 0.4  # of the way from what less at once takes to what the whole takes


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.is_file(), reason="only Linux says how much memory a process has asked for")
@pytest.mark.parametrize("model", ["multi_frame", "single_frame"])
def test_less_at_once_fits_under_a_cap(model, seeded_checkpoints):
    # Freed memory goes back to the system, so that the cap counts what is in use.
    settings = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}
    result = subprocess.run(
        env={**os.environ, **settings},
        args=[sys.executable, __file__, CONFTEST, model, seeded_checkpoints[model]],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["whole"] > found["least"] + 15e6, f"too small a difference for a cap: {found}"
    assert found["retries"], f"the whole fits under the cap: {found}"
    assert found["difference"] < 1e-4, found


def asked_for(name="VmPeak"):
    """Bytes of address space that this process had at most (VmPeak), or has (VmSize)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def capped(least, whole):
    """Run the least, then the whole; then cap the memory between both, and run the whole again."""
    import resource  # not on Windows

    least()
    smaller = asked_for()
    expected = whole()
    larger = asked_for()
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(smaller + ROOM * (larger - smaller)), unlimited[1]))
    try:
        result = whole()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    return {
        "least": smaller,
        "whole": larger,
        "retries": [line for line in said if "memory ran out" in line],
        "difference": float((result - expected).abs().max()),
    }


def decoded_segment(folder):
    """Ways to decode a segment: least at once, and as usual."""
    from paintsundo_pack.paintsundo_models import loading
    from paintsundo_pack.paintsundo_models.multi_frame.slices import SMALLEST

    vae = loading.load_multi_frame(folder, "fp32").vae
    latent = torch.randn(1, 4, 16, 18, 18, generator=torch.Generator().manual_seed(1))
    return lambda: vae.first_stage_model.decode(latent, slices=SMALLEST), lambda: vae.decode(latent)


def predicted_keyframes(folder):
    """Ways to predict keyframes: one with one branch of guidance, and six as usual."""
    from paintsundo_pack.paintsundo_models import keyframes, loading
    from paintsundo_pack.paintsundo_models.host.objects import Prompts
    from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings

    objects = loading.load_single_frame(folder, "fp32")
    picture = torch.rand(1, 192, 192, 3, generator=torch.Generator().manual_seed(1))

    def predict(steps, cfg):
        settings = SamplerSettings(7, 1, cfg, "euler", "karras")
        return keyframes.predict_keyframes(
            objects, picture, steps, Prompts("1girl", "bad"), settings, 192, 192
        )

    return lambda: predict([0], 1.0), lambda: predict([0, 300, 600, 900, 950, 999], 3.0)


def main(conftest, model, folder):
    spec = importlib.util.spec_from_file_location("conftest", conftest)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    ways = {"multi_frame": decoded_segment, "single_frame": predicted_keyframes}[model]
    with torch.inference_mode():
        print(json.dumps(capped(*ways(folder))))  # noqa: T201  read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
