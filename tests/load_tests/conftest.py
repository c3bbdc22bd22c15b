"""Seeded checkpoints to take apart, and forwards of their diffusion networks."""

import os
from pathlib import Path

import comfy.model_management
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints.files import Checkpoint, read_checkpoint
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from safetensors.torch import load_file, save_file

NAMES = {SINGLE_FRAME: "single_frame", MULTI_FRAME: "multi_frame"}
FRAMES = 2  # enough to run every layer of the 3D UNet


class Folder:
    """A copy of a checkpoint folder, made of hard links; a test may replace its files."""

    def __init__(self, path: Path, source: Path):
        self.path = path
        for file in source.rglob("*.*"):
            copy = path / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, copy)

    def file(self, part):
        """The one weights file of a part."""
        (file,) = (self.path / part).glob("*.safetensors")
        return file

    def tensors(self, part):
        return load_file(self.file(part))

    def write(self, part, tensors, name=None):
        """Replace a part's weights, or with a name add a file to it."""
        file = self.path / part / name if name else self.file(part)
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)  # it shares its bytes with the original
        save_file(tensors, file)

    def text(self, part, content, name="config.json"):
        file = self.path / part / name
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(content)


@pytest.fixture
def copy_of(seeded_checkpoints, tmp_path):
    """copy_of(kind) gives a Folder of that kind's seeded checkpoint."""
    return lambda kind: Folder(tmp_path / f"my {NAMES[kind]}", seeded_checkpoints[NAMES[kind]])


@pytest.fixture(scope="session")
def checkpoints(seeded_checkpoints) -> dict[str, Checkpoint]:
    """Both seeded checkpoints as read from their folders."""
    return {kind: read_checkpoint(seeded_checkpoints[name], kind) for kind, name in NAMES.items()}


@pytest.fixture(scope="session")
def build():
    """build[kind](checkpoint, dtype) gives the MODEL."""
    return {SINGLE_FRAME: loading.single_frame_model, MULTI_FRAME: loading.multi_frame_model}


@pytest.fixture(scope="session")
def forward(golden):
    """forward(kind, model): what its diffusion network predicts from the golden inputs' first frames, float32."""

    def inputs(kind):
        data = golden.golden(f"{NAMES[kind]}_unet")
        if kind == SINGLE_FRAME:
            x = torch.cat([data["sample"][:1], data["concat_latent"]], dim=1)
            return x, data["timestep"][:1], {"context": data["encoder_hidden_states"][:1]}
        x = torch.cat([data["x"], data["concat_cond"]], dim=1)[:1, :, :FRAMES]
        context = {"context": data["context_text"][:1], "image_context": data["context_img"][:1, :FRAMES]}
        return x, data["timestep"][:1], {**context, "fs": data["fs"][:1]}

    @torch.inference_mode()
    def run(kind, patcher):
        comfy.model_management.load_models_gpu([patcher])
        model, device = patcher.model, patcher.load_device
        dtype = model.manual_cast_dtype or model.get_dtype()
        x, timestep, rest = inputs(kind)
        if kind == SINGLE_FRAME:
            rest["y"] = model.encode_adm(operation_step=[400])
        rest = {name: t.to(device, dtype if t.is_floating_point() else t.dtype) for name, t in rest.items()}
        return model.diffusion_model(x.to(device, dtype), timestep.to(device), **rest).float().cpu()

    return run


@pytest.fixture(scope="session")
def exact(checkpoints, build, forward):
    """{kind: prediction} of the seeded checkpoints in float32."""
    return {kind: forward(kind, build[kind](checkpoints[kind], torch.float32)) for kind in NAMES}
