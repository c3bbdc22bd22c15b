"""The single-frame model as a MODEL: ComfyUI's SD 1.5 UNet with 8 input channels and the operation step as its label.

Source: Paints-UNDO, diffusers_helper/code_cond.py (operation step), gradio_app.py (concatenated latent).
"""

from pathlib import Path
from typing import Any

import comfy.diffusers_convert
import comfy.model_base
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep
from comfy.model_base import ModelType
from torch import Tensor

from ..checkpoints.files import check_tensors
from ..checkpoints.parts import SINGLE_FRAME_LOADER
from ..schedule import SINGLE_FRAME_BETAS
from .merging import check_merged_weights
from .patchers import build_diffusion_model, shapes_of
from .sampling import finite_output
from .saving import SavedAsReleased
from .text import check_prompt_width

OPERATION_STEP = "operation_step"
"""Key in the conditioning: a list of operation steps, one for each latent of the batch."""

TRAINED_SIZES = "paintsundo_trained_sizes"
"""Name of the VAE's attribute with the sizes (height, width) that the checkpoint was trained on; () for the released one."""


class SingleFrameModel(comfy.model_base.BaseModel):
    """SD 1.5 with two more conditions: the latent of the finished picture (`concat_latent_image`) and the operation step."""

    def __init__(self, config: "SingleFrameConfig", device: torch.device | None = None) -> None:
        super().__init__(config, ModelType.EPS, device=device)
        self.concat_keys = ("concat_image",)
        self.operation_embedder = Timestep(config.unet_config["adm_in_channels"])

    def extra_conds(self, **kwargs: Any) -> dict:
        check_merged_weights(self.current_patcher)
        noise, channels = kwargs["noise"], self.model_config.unet_config["out_channels"]
        if noise.ndim != 4 or noise.shape[1] != channels:
            raise ValueError(
                f"The latent is {list(noise.shape)}, and this model works on (pictures, {channels}, height, width). Use the "
                "latent of Keyframe Conditioning."
            )
        steps, count = kwargs.get(OPERATION_STEP), len(noise)
        if steps is None:
            raise ValueError(
                "The conditioning says no operation step. Put Keyframe Conditioning between the prompt and the sampler."
            )
        if count % len(steps):
            raise ValueError(
                f"The conditioning has {len(steps)} operation steps and the latent {count} pictures, so it is not clear which "
                "picture has which step. Use the whole latent of Keyframe Conditioning, or one operation step."
            )
        check_prompt_width(
            kwargs["cross_attn"], self.model_config.unet_config["context_dim"], SINGLE_FRAME_LOADER
        )
        return super().extra_conds(**kwargs)

    def encode_adm(self, **kwargs: Any) -> Tensor:
        return self.operation_embedder(torch.as_tensor(kwargs[OPERATION_STEP], dtype=torch.float32).flatten())


class SingleFrameConfig(SavedAsReleased, comfy.supported_models.SD15):
    """ComfyUI's configuration of SD 1.5 with this model's noise schedule; sizes come from each checkpoint."""

    unet_config = {}
    unet_extra_config = {}
    sampling_settings = {
        "beta_schedule": "sqrt_linear",  # ComfyUI's name for betas = linspace(start, end), without roots
        "linear_start": SINGLE_FRAME_BETAS[0],
        "linear_end": SINGLE_FRAME_BETAS[1],
    }

    def inpaint_model(self) -> bool:
        return False  # the base class takes a UNet with more than 4 input channels for an inpainting model

    def model_type(self, state_dict: dict, prefix: str = "") -> ModelType:
        return ModelType.EPS

    def get_model(
        self, state_dict: dict, prefix: str = "", device: torch.device | None = None
    ) -> SingleFrameModel:
        return SingleFrameModel(self, device=device)


def load_single_frame_unet(
    tensors: dict[str, Tensor],
    unet_config: dict,
    path: Path,
    dtype: torch.dtype | None,
    disable_dynamic: bool = False,
) -> comfy.model_patcher.ModelPatcher:
    """Build a MODEL from the tensors of the UNet, named as in diffusers.

    Raises:
        CheckpointMismatchError: the tensors do not fit the network.
    """
    names = comfy.utils.unet_to_diffusers(unet_config)
    renamed = {names.get(name, name): tensor for name, tensor in tensors.items()}
    # The table has two names for the operation step's tensors; class_embedding is not the one in our checkpoints.
    released = {host: name for name, host in names.items() if not name.startswith("class_embedding.")}

    def origin(name: str) -> tuple[str, str]:
        return "unet", released.get(name, name)

    config = SingleFrameConfig(unet_config)
    config.origin = origin
    return build_diffusion_model(config, renamed, path, origin, dtype, disable_dynamic)


def load_image_vae(
    tensors: dict[str, Tensor],
    config: dict,
    path: Path,
    dtype: torch.dtype | None = None,
    trained_sizes: tuple[tuple[int, int], ...] = (),
) -> comfy.sd.VAE:
    """Build a VAE from the tensors of an SD-style autoencoder, named as in diffusers; sets the attribute TRAINED_SIZES.

    Raises:
        CheckpointMismatchError: the tensors do not fit the network.
    """
    renamed = comfy.diffusers_convert.convert_vae_state_dict(tensors)
    with torch.device("meta"):
        skeleton = AutoencoderKL(**config)
    # Check here, because ComfyUI only logs which tensors are missing.
    check_tensors("vae", path, shapes_of(skeleton.state_dict()), shapes_of(renamed))
    vae = comfy.sd.VAE(sd=renamed, config={"params": config}, dtype=dtype)
    where = "while the single-frame VAE was decoding, or in the latent before"
    setattr(vae, "process_output", finite_output(vae.process_output, where))  # noqa: B010  its type names the parameter
    setattr(vae, TRAINED_SIZES, trained_sizes)
    return vae
