"""The video VAE as the host's VAE: VAE Encode, VAE Decode and VAE Decode (Tiled) work on it, with or without its two pictures."""

import copy
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.ops
import comfy.sd
import comfy.utils
import torch
from torch import Tensor

from ..layout import fold_time
from ..multi_frame.vae import FRAMES_PER_SLICE, VideoAutoencoder, VideoVAEParams
from ..pictures.resizing import resize_and_center_crop
from .patchers import archive_dtypes, load_strictly, make_patcher

PIXELS_PER_LATENT = 8


def memory_used_encode(shape: tuple, dtype: torch.dtype) -> int:
    """Bytes that the host frees before it encodes pixels of a shape (..., T, H, W).

    Tensors take 512 elements a pixel (benchmarks/run.py --count); the rest is for what convolutions need.
    """
    frames = min(shape[-3], FRAMES_PER_SLICE)
    return int(700 * frames * shape[-2] * shape[-1] * mm.dtype_size(dtype) * _kernels_share())


def memory_used_decode(shape: tuple, dtype: torch.dtype) -> int:
    """Bytes that the host frees before it decodes latents of a shape (..., T, H, W); tensors take 429 elements a pixel."""
    pixels = shape[-2] * shape[-1] * PIXELS_PER_LATENT**2
    return int(600 * shape[-3] * pixels * mm.dtype_size(dtype) * _kernels_share())


def _kernels_share() -> float:
    """What the host takes its own VAEs' memory times on AMD cards, whose convolutions need that much for themselves."""
    return 2.73 if mm.is_amd() else 1.0


class VideoVAE(comfy.sd.VAE):
    """The host's VAE around our network. `with_references` gives a copy whose decoding reads two pictures."""

    def __init__(
        self,
        tensors: dict[str, Tensor],
        params: VideoVAEParams,
        path: Path,
        dtype: torch.dtype | None = None,
        trained_sizes: tuple[tuple[int, int], ...] = (),
    ) -> None:
        # The smallest VAE of the host's own: it sets every attribute that this version of the host has.
        super().__init__(sd={"pixel_space_vae": torch.tensor(1.0)})
        ratio = PIXELS_PER_LATENT
        self.latent_channels, self.output_channels, self.latent_dim = (
            params.z_channels,
            params.out_channels,
            3,
        )
        self.downscale_ratio = self.upscale_ratio = (lambda frames: frames, ratio, ratio)
        self.downscale_index_formula = self.upscale_index_formula = (1, ratio, ratio)
        self.process_input = lambda image: image * 2 - 1
        # In place: newer hosts ignore what this returns.
        self.process_output = lambda image: image.add_(1).div_(2).clamp_(0, 1)
        self.memory_used_encode = memory_used_encode
        self.memory_used_decode = memory_used_decode
        self.working_dtypes = [torch.float16, torch.bfloat16, torch.float32]
        self.references: Tensor | None = None
        self.trained_sizes = trained_sizes  # (height, width); () for the released checkpoint
        self.size = None

        self.device = mm.vae_device()
        self.vae_dtype = dtype or mm.vae_dtype(self.device, self.working_dtypes)
        self.output_device = mm.intermediate_device()
        self.first_stage_model = VideoAutoencoder(
            params, dtype=self.vae_dtype, operations=comfy.ops.disable_weight_init
        ).eval()
        archive_dtypes(self.first_stage_model)
        self.patcher = make_patcher(self.first_stage_model, self.device, mm.vae_offload_device())
        load_strictly(self.first_stage_model, tensors, self.patcher, "vae", path)
        self.model_size()

    def with_references(self, start_image: Tensor, end_image: Tensor) -> "VideoVAE":
        """A copy, sharing the weights, that decodes with these two pictures, (1, H, W, 3) in [0, 1] each."""
        vae = copy.copy(self)
        vae.references = torch.cat([start_image, end_image.to(start_image)])
        return vae

    def decode(self, samples_in: Tensor, vae_options: dict = {}) -> Tensor:  # noqa: B006  the host's own signature
        if self.references is not None:
            vae_options = {**vae_options, "references": self._reference_pixels(self.references, samples_in)}
        return super().decode(samples_in, vae_options=vae_options)

    def _reference_pixels(self, references: Tensor, samples: Tensor) -> Tensor:
        """Both pictures at the size of these latents: (1, 3, 2, H, W) in [-1, 1], on the VAE's device."""
        height, width = (PIXELS_PER_LATENT * size for size in samples.shape[-2:])
        pictures = resize_and_center_crop(references, width, height)
        return self.process_input(pictures.permute(3, 0, 1, 2)[None]).to(self.device, self.vae_dtype)

    def decode_tiled_3d(
        self, samples: Tensor, tile_x: int = 32, tile_y: int = 32, overlap: tuple = (1, 8, 8), **_: object
    ) -> Tensor:
        """Decode in tiles of the picture, all frames together; each tile sees its own part of the two pictures.

        The pictures' pixels ride along as further channels of the latents, so that the host's tiling cuts both alike.
        """
        channels = samples.shape[1]
        if self.references is not None:
            pixels = fold_time(self._reference_pixels(self.references, samples)).to(samples)  # (2, 3, H, W)
            folded = torch.nn.functional.pixel_unshuffle(pixels, PIXELS_PER_LATENT).flatten(0, 1)
            riders = folded[None, :, None].expand(samples.shape[0], -1, samples.shape[2], -1, -1)
            samples = torch.cat([samples, riders], dim=1)

        def decode_tile(tile: Tensor) -> Tensor:
            tile = tile.to(self.device, self.vae_dtype)
            references = None
            if self.references is not None:
                folded = tile[:1, channels:, 0].unflatten(1, (2, -1))[0]  # (2, 192, h, w)
                pixels = torch.nn.functional.pixel_shuffle(folded, PIXELS_PER_LATENT)
                references = pixels.permute(1, 0, 2, 3)[None]
            return self.first_stage_model.decode(tile[:, :channels], references=references).float()

        tiling: dict[str, Any] = {  # the host's annotations are narrower than what it takes
            "tile": (samples.shape[2], tile_x, tile_y),
            "overlap": overlap,
            "upscale_amount": self.upscale_ratio,
            "out_channels": self.output_channels,
            "index_formulas": self.upscale_index_formula,
            "output_device": self.output_device,
        }
        return self.process_output(comfy.utils.tiled_scale_multidim(samples, decode_tile, **tiling))
