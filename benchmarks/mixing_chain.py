"""Our two chains from prompt to latent, run by the host's nodes, in which any object can be replaced."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.samplers
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from paintsundo_models import loading
from paintsundo_models.checkpoints.detection import projection_params, video_unet_params
from paintsundo_models.host.multi_frame import PROJECTION_PREFIX
from paintsundo_models.host.sampling import encode_prompt
from paintsundo_models.keyframes import encode_picture, keyframe_conditioning
from paintsundo_models.multi_frame.unet import UNet3D
from paintsundo_models.pictures.sizes import OWN_SIZE
from paintsundo_models.segments import interpolation_conditioning
from tools.seeded_checkpoint import seeded_tensor, write_seeded_checkpoints

from .mixing_files import lora_tensors, make_control_net, write_files
from .mixing_host import HostNode

KEYFRAMES, SEGMENTS = "keyframes", "segments"
SIZES = {KEYFRAMES: (128, 128), SEGMENTS: (64, 64)}
"""Width and height in pixels. The deepest layers see 2 x 2 and 4 x 4 places, so that attention has something to weigh."""

OPERATION_STEPS = [400, 900]
STEPS, DENOISE = 1, 0.5
"""The last of two steps, from a latent that is not empty, so that latents and masks have an effect too."""

Values = Mapping[str, Any]


class Chain:
    """One model with everything that a node between prompt and latent may ask for.

    Attributes:
        name: KEYFRAMES or SEGMENTS.
        nodes: the host's, by id.
        values: what is connected to an input, by its name or by its type in lower case.
    """

    def __init__(self, name: str, nodes: Mapping[str, HostNode], values: Values) -> None:
        self.name, self.nodes, self.values = name, nodes, dict(values)
        self.values["prompts"] = self.encoded(self.values["clip"])
        self.values |= self.conditioned()
        self._fill()

    def encoded(self, clip: Any) -> tuple[Any, Any]:
        """Return the CONDITIONING of the positive and of the negative prompt."""
        return encode_prompt(clip, "1girl, solo"), encode_prompt(clip, "lowres, blurry")

    def conditioned(self, clip: Any = None) -> dict[str, Any]:
        """Return the outputs of our conditioning node, with the prompts of this CLIP or of the chain's own."""
        positive, negative = self.encoded(clip) if clip else self.values["prompts"]
        values = self.values
        outputs: tuple
        if self.name == KEYFRAMES:
            picture = encode_picture(values["vae"], values["picture"], *SIZES[KEYFRAMES])
            outputs = keyframe_conditioning(positive, negative, picture, OPERATION_STEPS)
        else:
            outputs = interpolation_conditioning(
                positive,
                negative,
                values["clip_vision"],
                values["vae"],
                values["picture"],
                values["canvas"],
                resolution=OWN_SIZE,
            )
        return dict(zip(("positive", "negative", "latent", "vae"), outputs, strict=False))

    def schedule(self, steps: int, denoise: float = DENOISE) -> Tensor:
        """Return SIGMAS of the scheduler "simple"."""
        settings = {"scheduler": "simple", "steps": steps, "denoise": denoise}
        return self.nodes["BasicScheduler"].run({"model": self.values["model"], **settings})[0]

    def sample(self, changed: Values) -> Tensor:
        """Return the latent that the chain samples with these values in place of its own."""
        now = {**self.values, **changed}
        guider = changed.get("guider") or self.nodes["CFGGuider"].run({**now, "cfg": 3.0})[0]
        inputs = {**now, "guider": guider, "latent_image": now["latent"]}
        return self.nodes["SamplerCustomAdvanced"].run(inputs)[0]["samples"]

    def _fill(self) -> None:
        values, nodes = self.values, self.nodes
        latent = values["latent"]
        shape = tuple(latent["samples"].shape)
        latent["samples"] = random(shape, 2) - 0.5
        values["other_latent"] = {**latent, "samples": random(shape, 4) - 0.5}
        values["empty"] = nodes["ConditioningZeroOut"].run({"conditioning": values["negative"]})[0]
        width, height = SIZES[self.name]
        values["image"] = random((2 if self.name == KEYFRAMES else 16, height, width, 3), 3)
        values["pixels"] = values["image"] if self.name == KEYFRAMES else values["picture"]
        values["mask"] = torch.zeros(1, height, width)
        values["mask"][:, : height // 2] = 1.0
        values["noise"] = nodes["RandomNoise"].run({"noise_seed": 1})[0]
        values["sampler"] = comfy.samplers.sampler_object("euler")
        values["sigmas"] = self.schedule(STEPS)
        values["guider"] = nodes["CFGGuider"].run({**values, "cfg": 3.0})[0]
        values["clip_vision_output"] = nodes["CLIPVisionEncode"].run(
            {"clip_vision": values["clip_vision"], "image": values["picture"], "crop": "center"}
        )[0]
        values["lora"] = lora_tensors(values["model"])
        values["hooks"] = nodes["CreateHookLora"].run({"lora_name": f"{self.name} LoRA.safetensors"})[0]
        values["timesteps_range"] = (0.0, 1.0)
        values["latent_operation"] = nodes["LatentOperationTonemapReinhard"].run({})[0]


def make_chains(
    checkpoints: tuple[Path, Path], folder: Path, nodes: Mapping[str, HostNode]
) -> dict[str, Chain]:
    """Load two checkpoints and make a chain of each.

    Args:
        checkpoints: of the single-frame and of the multi-frame model.
        folder: for the files that loaders read.
        nodes: the host's.
    """
    single = loading.load_single_frame(checkpoints[0], "fp32")
    multi = loading.load_multi_frame(checkpoints[1], "fp32")
    shared = {
        "clip_vision": multi.clip_vision,
        "control_net": make_control_net(single.model),
    }
    chains = {}
    for name, objects, other in ((KEYFRAMES, single, multi), (SEGMENTS, multi, single)):
        width = encode_prompt(objects.clip, "")[0][0].shape[-1]
        write_files(folder, name, objects.model, width)
        shape = (1, SIZES[name][1], SIZES[name][0], 3)
        pictures = {"picture": random(shape, 1), "canvas": torch.ones(shape)}
        values = {**shared, **objects._asdict(), **pictures, "other_model": other.model}
        chains[name] = Chain(name, nodes, values)
    return chains


def write_checkpoints(folder: Path) -> tuple[Path, Path]:
    """Write the seeded checkpoints with a 3D UNet of two levels, which takes a third of the time; return their folders."""
    single, multi = write_seeded_checkpoints(folder)
    file = multi / "unet" / "diffusion_pytorch_model.safetensors"
    levels = {"channel_mult": (1, 4), "blocks_per_level": 1, "attention_levels": (True, True)}
    params = dataclasses.replace(video_unet_params(load_file(file)), **levels)
    projection = load_file(multi / "image_projection" / file.name)
    with torch.device("meta"):
        network = UNet3D(params, projection_params(projection, {}))
    tensors = {
        name: seeded_tensor("mixing", name, tuple(weight.shape))
        for name, weight in network.state_dict().items()
        if not name.startswith(PROJECTION_PREFIX)
    }
    save_file(tensors, file)
    return single, multi


def random(shape: tuple[int, ...], seed: int) -> Tensor:
    """Return numbers from 0 to 1, drawn from a seed."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))
