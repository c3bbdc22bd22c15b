"""Under a real limit on a process's memory the whole of a stage does not fit, and less at once does, with the same result.

Run as a program (conftest.py, folder with both models), this file measures what each way takes, caps its own memory
between the two, runs again and prints what happened.
"""

import importlib.util
import json
import logging
import os
import resource
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
def test_less_at_once_fits_under_a_cap(seeded_checkpoints):
    result = subprocess.run(
        # Freed memory goes back to the system, so that the cap counts what is in use.
        env={
            **os.environ,
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_TRIM_THRESHOLD_": "0",
            "MALLOC_ARENA_MAX": "1",
        },
        args=[sys.executable, __file__, CONFTEST, *seeded_checkpoints.values()],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for found in json.loads(result.stdout.splitlines()[-1]).values():
        assert found["whole"] > found["least"] + 15e6, f"too small a difference for a cap: {found}"
        assert found["retries"], f"the whole fits under the cap: {found}"
        assert found["difference"] < 1e-4, found


def asked_for(name="VmPeak"):
    """Bytes of address space that this process had at most (VmPeak), or has (VmSize)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def capped(least, whole):
    """Run the least, then the whole; then cap the memory between both, and run the whole again."""
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


def main(conftest, single_frame, multi_frame):
    spec = importlib.util.spec_from_file_location("conftest", conftest)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    from paintsundo_pack.paintsundo_models import keyframes, loading
    from paintsundo_pack.paintsundo_models.host.objects import Prompts
    from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
    from paintsundo_pack.paintsundo_models.multi_frame.slices import SMALLEST

    found = {}
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        vae = loading.load_multi_frame(multi_frame, "fp32").vae
        latent = torch.randn(1, 4, 16, 14, 14, generator=generator)
        found["decoding a segment"] = capped(
            lambda vae=vae: vae.first_stage_model.decode(latent, slices=SMALLEST),
            lambda vae=vae: vae.decode(latent),
        )
        del vae
        single = loading.load_single_frame(single_frame, "fp32")
        picture = torch.rand(1, 192, 192, 3, generator=generator)

        def predict(steps, cfg=3.0):
            settings = SamplerSettings(7, 1, cfg, "euler", "karras")
            return keyframes.predict_keyframes(
                single, picture, steps, Prompts("1girl", "bad"), settings, 192, 192
            )

        steps = [0, 300, 600, 900, 950, 999]
        found["predicting keyframes"] = capped(lambda: predict(steps[:1], cfg=1.0), lambda: predict(steps))
    print(json.dumps(found))  # noqa: T201  read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
