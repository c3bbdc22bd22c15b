"""The video VAE as ComfyUI's VAE, so that VAE Encode, VAE Decode and VAE Decode (Tiled) work with it."""

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
from ..multi_frame.slices import SMALLEST, USUAL
from ..multi_frame.vae import KEY_RENAMES, VideoAutoencoder, VideoVAEParams
from ..pictures.resizing import resize_and_center_crop
from .out_of_memory import IN_TILES, OTHER_REMEDIES, Stage, in_groups, without_tiles
from .patchers import archive_dtypes, load_strictly, make_patcher
from .sampling import finite_output

PIXELS_PER_LATENT = 8

_TILE = 256, 64  # pixels: side and overlap, as the host has them for videos where memory runs out
_SMALLER = f"Choose a smaller resolution. {OTHER_REMEDIES}"


def memory_used_encode(shape: tuple, dtype: torch.dtype) -> int:
    """Return how many bytes ComfyUI should free before it encodes pixels of a shape (..., T, H, W).

    Tensors take 512 elements a pixel (benchmarks/run.py --count); the rest is for buffers of the convolutions.
    """
    frames = min(shape[-3], USUAL.frames)
    return int(700 * frames * shape[-2] * shape[-1] * mm.dtype_size(dtype) * _kernels_share())


def memory_used_decode(shape: tuple, dtype: torch.dtype) -> int:
    """Return how many bytes ComfyUI should free before it decodes latents of a shape (..., T, H, W).

    Tensors take 429 elements a pixel (benchmarks/run.py --count); the rest is for buffers of the convolutions.
    """
    pixels = shape[-2] * shape[-1] * PIXELS_PER_LATENT**2
    return int(600 * shape[-3] * pixels * mm.dtype_size(dtype) * _kernels_share())


def _kernels_share() -> float:
    """Return the factor by which ComfyUI multiplies the memory of its VAEs on AMD cards, for their convolutions."""
    return 2.73 if mm.is_amd() else 1.0


class VideoVAE(comfy.sd.VAE):
    """ComfyUI's VAE with VideoAutoencoder as its network; `with_references` makes a copy that decodes with two pictures."""

    def __init__(
        self,
        tensors: dict[str, Tensor],
        params: VideoVAEParams,
        path: Path,
        dtype: torch.dtype | None = None,
        trained_sizes: tuple[tuple[int, int], ...] = (),
    ) -> None:
        # Initialise as ComfyUI's smallest VAE, so that every attribute exists that this version of ComfyUI reads.
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
        self.process_output = finite_output(
            lambda image: image.add_(1).div_(2).clamp_(0, 1),
            "while the video VAE was decoding, or in the latent before",
        )
        self.memory_used_encode = memory_used_encode
        self.memory_used_decode = memory_used_decode
        self.working_dtypes = [torch.float16, torch.bfloat16, torch.float32]
        self.references: Tensor | None = None
        self.trained_sizes = trained_sizes  # (height, width) each; () for the released checkpoint
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

    def get_sd(self) -> dict[str, Tensor]:
        """Return the weights by the names of the released file, as ComfyUI's Save nodes write them."""
        released = {ours: name for name, ours in KEY_RENAMES.items()}
        return {released.get(name, name): tensor for name, tensor in super().get_sd().items()}

    def with_references(self, start_image: Tensor, end_image: Tensor) -> "VideoVAE":
        """Return a copy that shares the weights and decodes with these reference pictures, (1, H, W, 3) in [0, 1] each."""
        vae = copy.copy(self)
        vae.references = torch.cat([start_image, end_image.to(start_image)])
        return vae

    def encode(self, pixel_samples: Tensor) -> Tensor:
        """Encode frames (T, H, W, 3) as one video, (1, 4, T, h, w), or videos (B, T, H, W, 3); fewer frames at once where
        memory runs out.
        """
        whole = without_tiles(self)

        def at_once(start: int, stop: int) -> Any:  # by the host's types it could be None
            return comfy.sd.VAE.encode(whole, pixel_samples[start:stop])

        def in_tiles(start: int, stop: int) -> Tensor:
            side, overlap = _TILE
            return self.encode_tiled(pixel_samples[start:stop], tile_x=side, tile_y=side, overlap=overlap)

        parts = in_groups(
            Stage("the video VAE was encoding", _SMALLER),
            len(pixel_samples),
            len(pixel_samples),
            at_once,
            [(IN_TILES, in_tiles)],
        )
        return torch.cat(parts, dim=2 if pixel_samples.ndim == 4 else 0)

    def decode(self, samples_in: Tensor, vae_options: dict = {}) -> Tensor:  # noqa: B006  the host's own signature
        """Decode videos (B, 4, T, h, w) to (B, T, 8h, 8w, 3) in [0, 1]; in smaller slices where memory runs out."""
        whole = without_tiles(self)

        def run(samples: Tensor, **options: object) -> Tensor:
            if self.references is not None:
                options["references"] = self._reference_pixels(self.references, samples)
            return comfy.sd.VAE.decode(whole, samples, vae_options={**vae_options, **options})

        def in_tiles(start: int, stop: int) -> Tensor:
            side, overlap = (pixels // PIXELS_PER_LATENT for pixels in _TILE)
            return self.decode_tiled(samples_in[start:stop], tile_x=side, tile_y=side, overlap=overlap)

        parts = in_groups(
            Stage("the video VAE was decoding", _SMALLER),
            len(samples_in),
            len(samples_in),
            lambda start, stop: run(samples_in[start:stop]),
            [
                ("in smaller slices", lambda start, stop: run(samples_in[start:stop], slices=SMALLEST)),
                (IN_TILES, in_tiles),
            ],
        )
        return torch.cat(parts)

    def _reference_pixels(self, references: Tensor, samples: Tensor) -> Tensor:
        """Return both pictures, resized to these latents, on the VAE's device: (1, 3, 2, H, W) in [-1, 1]."""
        height, width = (PIXELS_PER_LATENT * size for size in samples.shape[-2:])
        pictures = resize_and_center_crop(references, width, height)
        return self.process_input(pictures.permute(3, 0, 1, 2)[None]).to(self.device, self.vae_dtype)

    def decode_tiled_3d(
        self, samples: Tensor, tile_x: int = 32, tile_y: int = 32, overlap: tuple = (1, 8, 8), **_: object
    ) -> Tensor:
        """Decode in tiles of the picture, each with all frames and with the same region of the two reference pictures.

        To make ComfyUI's tiling cut the reference pictures too, their pixels are appended to the latents as channels.
        """
        channels = samples.shape[1]
        if self.references is not None:
            pixels = fold_time(self._reference_pixels(self.references, samples)).to(samples)  # (2, 3, H, W)
            folded = torch.nn.functional.pixel_unshuffle(pixels, PIXELS_PER_LATENT).flatten(0, 1)
            appended = folded[None, :, None].expand(samples.shape[0], -1, samples.shape[2], -1, -1)
            samples = torch.cat([samples, appended], dim=1)

        def decode_tile(tile: Tensor) -> Tensor:
            tile = tile.to(self.device, self.vae_dtype)
            references = None
            if self.references is not None:
                folded = tile[:1, channels:, 0].unflatten(1, (2, -1))[0]  # (2, 192, h, w)
                pixels = torch.nn.functional.pixel_shuffle(folded, PIXELS_PER_LATENT)
                references = pixels.permute(1, 0, 2, 3)[None]
            return self.first_stage_model.decode(tile[:, :channels], references=references).float()

        tiling: dict = {  # untyped, because ComfyUI's annotations are narrower than what its function takes
            "tile": (samples.shape[2], tile_x, tile_y),
            "overlap": overlap,
            "upscale_amount": self.upscale_ratio,
            "out_channels": self.output_channels,
            "index_formulas": self.upscale_index_formula,
            "output_device": self.output_device,
        }
        return self.process_output(comfy.utils.tiled_scale_multidim(samples, decode_tile, **tiling))
