"""The multi-frame model as a MODEL: UNet3D and its process in ComfyUI's classes."""

import math
from pathlib import Path
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.model_patcher
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.model_base import ModelType
from torch import Tensor

from ..checkpoints.parts import MULTI_FRAME_LOADER
from ..constants import DEFAULT_FS, DEFAULT_GUIDANCE_RESCALE
from ..layout import frames_as_sheet
from ..multi_frame.process import ScaledZeroSNRSampling
from ..multi_frame.projection import ImageProjectionParams
from ..multi_frame.unet import UNet3D, UNet3DParams
from .merging import check_merged_weights
from .model_options import with_guidance
from .patchers import build_diffusion_model
from .saving import SavedAsReleased
from .text import check_prompt_width

VISION_TOKENS = "paintsundo_vision_tokens"
"""Key in the conditioning: CLIP vision tokens of both pictures, (1, 2, N, C)."""

FS = "paintsundo_fs"
"""Key in the conditioning: the frame-rate number `fs`, a condition that the model was trained with."""

PROJECTION_PREFIX = "image_proj."  # UNet3D.image_proj


class VideoLatent(comfy.latent_formats.SD15):
    """Latents of SD 1.5 with a dimension for time, (B, 4, T, h, w)."""

    latent_dimensions = 3

    def __init__(self) -> None:
        super().__init__()
        self.taesd_decoder_name = None  # that previewer fails on latents with five dimensions
        self.latent_rgb_factors_reshape = frames_as_sheet  # else a preview would show the first frame alone


class MultiFrameModel(comfy.model_base.BaseModel):
    """v prediction over 16 frames between two pictures."""

    def __init__(self, config: "MultiFrameConfig", device: torch.device | None = None) -> None:
        super().__init__(config, ModelType.V_PREDICTION, device=device, unet_model=UNet3D)  # pyright: ignore[reportArgumentType]
        self.model_sampling = ScaledZeroSNRSampling()

    @property
    def frames(self) -> int:
        """Return how many frames a segment of this checkpoint has; the model reads them at once."""
        return self.model_config.unet_config["projection"].video_length

    def _apply_model(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if x.shape[2] != self.frames:
            raise ValueError(
                f"Another node has cut the segment to {x.shape[2]} frames, and this model reads {self.frames} at once. Remove "
                "that node, such as Context Windows."
            )
        return super()._apply_model(x, *args, **kwargs)

    def memory_required(self, input_shape: tuple, cond_shapes: dict = {}) -> float:  # noqa: B006  the host's own signature
        """Return how many bytes ComfyUI should free before sampling.

        This is ComfyUI's formula for fused attention. It is used for the other attentions as well: they split their work
        to fit the free memory, and ComfyUI's own formula for them would ask for nine times as much.
        """
        latents = input_shape[0] * math.prod(input_shape[2:])
        dtype = self.manual_cast_dtype or self.get_dtype()
        return latents * mm.dtype_size(dtype) * 0.01 * self.memory_usage_factor * 1024**2

    def extra_conds(self, **kwargs: Any) -> dict:
        check_merged_weights(self.current_patcher)
        if not isinstance(self.model_sampling, ScaledZeroSNRSampling):
            raise ValueError(
                "A ModelSampling node has replaced the process that the multi-frame model was trained on (v prediction, "
                "zero terminal SNR, scaled clean latent), and no other fits it. Remove that node; every sampler and "
                "scheduler works without it."
            )
        if kwargs.get("control") is not None:
            raise ValueError(
                "A ControlNet is connected to the conditioning of the multi-frame model, and ControlNets work on pictures, "
                "not on segments. Remove Apply ControlNet here; on the single-frame model it works."
            )
        noise, device = kwargs["noise"], kwargs["device"]
        tokens, pictures = kwargs.get(VISION_TOKENS), kwargs.get("concat_latent_image")
        if tokens is None or pictures is None:
            raise ValueError(
                "The conditioning carries no pictures. Put Interpolation Conditioning between the prompt and the sampler."
            )
        frames = self.frames
        if pictures.ndim != 5 or pictures.shape[2] != frames:
            raise ValueError(
                f"The picture latents in the conditioning are {list(pictures.shape)}, and this model reads {frames} frames: "
                "another node has replaced them. Put Interpolation Conditioning last before the sampler."
            )
        channels = self.model_config.unet_config["params"].out_channels
        if noise.ndim != 5 or noise.shape[1:] != (channels, *pictures.shape[2:]):
            raise ValueError(
                f"The latent is {list(noise.shape)}, and this model works on {[1, channels, *pictures.shape[2:]]} "
                "(batch, channels, frames, height, width). Use the latent of Interpolation Conditioning."
            )
        pictures = comfy.utils.resize_to_batch_size(self.process_latent_in(pictures), noise.shape[0])
        check_prompt_width(
            kwargs["cross_attn"], self.model_config.unet_config["params"].context_dim, MULTI_FRAME_LOADER
        )
        dtype = self.manual_cast_dtype or self.get_dtype()
        return {
            "c_crossattn": comfy.conds.CONDCrossAttn(kwargs["cross_attn"]),
            "c_concat": comfy.conds.CONDNoiseShape(pictures.to(device)),
            # Project here, where the model is already on its device, so that it happens once and not at every step.
            "image_context": comfy.conds.CONDRegular(
                self.diffusion_model.project_images(  # pyright: ignore[reportCallIssue]
                    tokens.to(device, dtype)
                )
            ),
            "fs": comfy.conds.CONDRegular(torch.tensor([kwargs.get(FS, DEFAULT_FS)], device=device)),
        }


class MultiFrameConfig(SavedAsReleased, comfy.supported_models_base.BASE):
    """ComfyUI's description of a model family; the sizes of the network come from each checkpoint."""

    unet_config = {}
    unet_extra_config = {}  # the base class would add num_heads
    latent_format = VideoLatent
    # The tensors of the full-size network need 1.007 (benchmarks/run.py --count); the rest is for buffers of the kernels.
    memory_usage_factor = 1.25
    supported_inference_dtypes = [torch.float16, torch.bfloat16, torch.float32]

    def get_model(
        self, state_dict: dict, prefix: str = "", device: torch.device | None = None
    ) -> MultiFrameModel:
        return MultiFrameModel(self, device=device)


def load_multi_frame_unet(
    unet: dict[str, Tensor],
    image_projection: dict[str, Tensor],
    params: UNet3DParams,
    projection: ImageProjectionParams,
    path: Path,
    dtype: torch.dtype | None,
    disable_dynamic: bool = False,
) -> comfy.model_patcher.ModelPatcher:
    """Build a MODEL from the tensors of the 3D UNet and the image projection, with the original's guidance rescale.

    Raises:
        CheckpointMismatchError: the tensors do not fit the network.
    """
    tensors = {**unet, **{f"{PROJECTION_PREFIX}{name}": tensor for name, tensor in image_projection.items()}}
    config = MultiFrameConfig(
        # ComfyUI's LoRA mapping and FreeU read model_channels from this configuration.
        {"params": params, "projection": projection, "model_channels": params.model_channels}
    )

    def origin(name: str) -> tuple[str, str]:
        if name.startswith(PROJECTION_PREFIX):
            return "image_projection", name.removeprefix(PROJECTION_PREFIX)
        return "unet", name

    config.origin = origin
    # Keep the image projection out of fp8: everything that the model sees of the pictures passes through it, and it has
    # only 49 of 1488 million weights.
    wide_in_fp8 = (PROJECTION_PREFIX,)
    patcher = build_diffusion_model(config, tensors, path, origin, dtype, disable_dynamic, wide_in_fp8)
    return with_guidance(patcher, DEFAULT_GUIDANCE_RESCALE, 0.0, 1.0)
