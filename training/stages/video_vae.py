"""Stage 2: the video VAE. It begins as the image VAE, and its encoder stays that, so that both models see the same
latents. Its decoder learns to look at the two pictures and at neighbouring frames. For that it sees whole segments: from
a few frames of each it learns what makes the frames between worse than the image VAE's.
"""

import numpy as np
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from paintsundo_models.constants import LATENT_SCALE
from paintsundo_models.multi_frame.vae import ReferenceAttention, VideoAutoencoder

from ..evaluation import psnr
from ..loop import draw
from ..pictures import random_crop, sheet, to_pixels, to_states
from ..segments import random_segment, segment_steps
from ..sequences import SequenceSource
from ..settings import StageSettings
from .image_vae import reconstruction_loss

MOST_NOISE = 0.3
"""Largest deviation of the noise on the scaled latents, whose own is 1. The 3D UNet's latents are not exact either; so
the decoder learns to take from the two pictures what they show."""


class VideoVAEStage:
    """Reconstruction of a segment from its latents, a little noisy, and its first and last picture."""

    name = "video_vae"

    def __init__(
        self,
        network: VideoAutoencoder,
        image_vae: AutoencoderKL,
        source: SequenceSource,
        held_out: SequenceSource,
        settings: StageSettings,
        device: torch.device,
    ) -> None:
        self.network, self.settings, self.device = network, settings, device
        begin_as(network, image_vae)
        network.requires_grad_(False)
        network.decoder.requires_grad_(True)
        self.shown = [held_out.states(0, segment_steps(*pair)) for pair in ((0, 400), (600, 800))]
        fix_reference_projections(network, to_pixels(np.concatenate(self.shown)))
        self.image_vae = image_vae.to(device).requires_grad_(False).eval()
        self.source = source
        self.videos: list[np.ndarray] = []

    def loss(self, generator: torch.Generator, progress: float) -> Tensor:
        crop = self.settings.crop
        if self.settings.late_crop and progress >= self.settings.late_from:
            crop = self.settings.late_crop
        videos = [self._video(crop, generator) for _ in range(self.settings.batch)]
        pixels = torch.stack(videos).to(self.device)
        with torch.no_grad():
            latent = self.network.encode(pixels)
        noise = torch.randn(latent.shape, generator=generator).to(self.device)
        amount = MOST_NOISE * float(torch.rand(1, generator=generator)) / LATENT_SCALE
        decoded = self.network.decode(latent + amount * noise, pixels[:, :, [0, -1]])
        return reconstruction_loss(decoded.float(), pixels)

    def _video(self, crop: int, generator: torch.Generator) -> Tensor:
        """A segment, cropped: (3, T, H, W)."""
        if len(self.videos) < self.settings.sequences:
            steps = segment_steps(*random_segment(generator))
            self.videos.append(self.source.states(len(self.videos) % len(self.source), steps))
            video = self.videos[-1]
        else:
            video = self.videos[draw(generator, len(self.videos))]
        if crop:
            video = random_crop(video, crop, generator)
        return to_pixels(video).transpose(0, 1)

    def sample(self, network: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        rows, quality, plain = [], [], []
        for video in self.shown:
            pixels = to_pixels(video).to(self.device).transpose(0, 1)[None]
            decoded = to_states(
                network.decode(network.encode(pixels), pixels[:, :, [0, -1]])[0].transpose(0, 1)
            )
            alone = to_states(
                torch.cat(
                    [
                        self.image_vae.decode(network.encode(pixels[:, :, i : i + 1])[:, :, 0])
                        for i in range(pixels.shape[2])
                    ]
                )
            )
            rows += [video[::3], decoded[::3]]
            quality += [psnr(a, b) for a, b in zip(video, decoded, strict=True)]
            plain += [psnr(a, b) for a, b in zip(video, alone, strict=True)]
        ends = [value for index, value in enumerate(quality) if index % 16 in (0, 15)]
        figures = {"psnr": np.mean(quality), "ends_psnr": np.mean(ends), "image_vae_psnr": np.mean(plain)}
        return sheet(rows), {name: float(value) for name, value in figures.items()}


@torch.no_grad()
def begin_as(video_vae: VideoAutoencoder, image_vae: AutoencoderKL) -> None:
    """Give the video VAE the image VAE's weights; its parts over time and to the pictures begin as identities.

    With pictures the video decoder leaves `post_quant_conv` out, so that one is folded into the convolution after it.
    """
    weights = image_vae.state_dict()
    for side in ("weight", "bias"):
        weights[f"decoder.conv_out.conv.{side}"] = weights.pop(f"decoder.conv_out.{side}")
    unknown = video_vae.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"The image VAE has tensors that the video VAE lacks: {', '.join(unknown)}.")
    post, first = video_vae.post_quant_conv, video_vae.decoder.conv_in
    first.bias += torch.einsum("oihw,i->o", first.weight, post.bias)
    first.weight.copy_(torch.einsum("oihw,ij->ojhw", first.weight, post.weight[:, :, 0, 0]))
    nn.init.dirac_(post.weight)
    nn.init.zeros_(post.bias)
    last = video_vae.decoder.conv_out.time_mix_conv
    nn.init.dirac_(last.weight)
    nn.init.zeros_(last.bias)


@torch.no_grad()
def fix_reference_projections(video_vae: VideoAutoencoder, pixels: Tensor) -> None:
    """Scale keys and values of the reference pictures to about unit size, and leave them so; queries and output learn.

    The encoder's features are not normalised: at the coarsest level they are hundreds, and a step of Adam, which is
    the same for every weight, would change keys and values beyond recognition. Random projections to 512 channels
    keep all that 64 or 128 channels say.

    Args:
        video_vae: its encoder is trained.
        pixels: (N, 3, H, W) in [-1, 1], to measure on.
    """
    for layer, features in zip(
        video_vae.decoder.attn_refinement, video_vae.encoder.features(pixels[::4]), strict=True
    ):
        if isinstance(layer, ReferenceAttention):
            for projection in (layer.to_k, layer.to_v):
                nn.init.normal_(
                    projection.weight, std=1 / float(features.square().mean() * features.shape[1]) ** 0.5
                )
                projection.requires_grad_(False)
