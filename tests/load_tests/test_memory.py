"""Loading keeps one copy of the weights: the memory of the process grows by little more than their size.

Run as a program (conftest.py, folder with both models), this file prints for every part what it took.
"""

import gc
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

CONFTEST = Path(__file__).parents[1] / "conftest.py"
STATUS = Path("/proc/self/status")
MOST = 1.35  # times the weights: a second copy of the largest part would be far above
ALLOWANCE = 24e6  # what the host's and torch's own objects may take, in bytes


def wide_shapes(golden, part):
    """Shapes that make a part of some 100 MB: the real one's with two layers, and of the UNets a fifth of the width."""
    small, real = golden.shapes(part), golden.released()["tensors"][part]
    if not part.endswith(".unet"):
        return {
            name: shape
            for name, shape in real.items()
            if not re.search(r"(^|\.)layers\.([2-9]|\d\d)\.", name)
        }

    def size(of_small, of_real):
        if of_real == 10 * of_small:
            return 2 * of_small
        return of_real if of_small in (32, 48) else of_small  # 32, 48: the text's width

    return {name: [size(*pair) for pair in zip(small[name], real[name], strict=True)] for name in real}


@pytest.mark.skipif(not STATUS.is_file(), reason="only Linux says how much of a process's memory is its own")
def test_loading_takes_the_weights_once(golden, tmp_path):
    from safetensors.torch import save_file

    sizes = {}
    for part in golden.parts():
        folder = tmp_path / part.replace(".", "/")
        folder.mkdir(parents=True)
        tensors = {n: torch.full(s, 0.01, dtype=torch.float16) for n, s in wide_shapes(golden, part).items()}
        sizes[part] = sum(tensor.nbytes for tensor in tensors.values())
        save_file(tensors, folder / "model.safetensors")
        del tensors
    assert sum(sizes.values()) > 300e6

    result = subprocess.run(
        # Freed memory goes back to the system, so that the next part does not hide in it.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"},
        args=[sys.executable, __file__, CONFTEST, tmp_path],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    taken = json.loads(result.stdout.splitlines()[-1])
    assert len(taken) == 8
    for part, (weights, peak) in taken.items():
        assert 2 * weights > MOST * weights + ALLOWANCE, (
            f"{part} is too small for two copies of it to be seen"
        )
        assert peak < MOST * weights + ALLOWANCE, (
            f"{part}: {peak / 1e6:.0f} MB for {weights / 1e6:.0f} MB of weights"
        )


class Peak:
    """The most anonymous memory that this process had over what it had at first, in bytes."""

    def __enter__(self):
        gc.collect()
        self.first = self.bytes = self.now()
        self.is_on = True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def now(self):
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024

    def watch(self):
        while self.is_on:
            self.bytes = max(self.bytes, self.now())
            time.sleep(0.001)

    def __exit__(self, *_):
        self.is_on = False
        self.thread.join()  # it must not write to self.bytes after the subtraction below
        self.bytes = max(self.bytes, self.now()) - self.first


def main(conftest, folder):
    spec = importlib.util.spec_from_file_location("conftest", conftest)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    from paintsundo_pack.paintsundo_models import loading
    from paintsundo_pack.paintsundo_models.checkpoints.files import read_checkpoint
    from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME

    def weights_of(built):
        network = next(
            getattr(built, name)
            for name in ("cond_stage_model", "first_stage_model", "model")
            if isinstance(getattr(built, name, None), torch.nn.Module)
        )
        return sum(p.nbytes for p in network.parameters())

    taken = {}
    jobs = [
        (
            SINGLE_FRAME,
            loading.text_encoder,
            torch.float16,
        ),  # first, because the first load also pays for what all loads share
        (SINGLE_FRAME, loading.single_frame_model, torch.float16),
        (
            SINGLE_FRAME,
            loading.image_vae,
            torch.float32,
        ),  # ComfyUI builds this VAE in float32 and converts it afterwards
        (MULTI_FRAME, loading.multi_frame_model, torch.float16),
        (MULTI_FRAME, loading.multi_frame_model, torch.float8_e4m3fn),
        (MULTI_FRAME, loading.text_encoder, torch.float16),
        (MULTI_FRAME, loading.video_vae, torch.float16),
        (MULTI_FRAME, loading.vision_encoder, torch.float16),
    ]
    for kind, build, dtype in jobs:
        with Peak() as peak:
            checkpoint = read_checkpoint(Path(folder) / kind.replace("-", "_"), kind)
            built = build(checkpoint, dtype)
        taken[f"{kind} {build.__name__} {dtype}"] = weights_of(built), peak.bytes
        del built, checkpoint
    print(json.dumps(taken))  # noqa: T201  read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
