"""Stage 2: the video VAE. It begins with the image VAE's weights.

Its encoder is not trained, so both models have the same latents. Its decoder learns to use the two reference pictures
and the neighbouring frames. It is trained on whole segments: trained on a few frames of each segment, it decodes the
frames between the ends worse than the image VAE does.
"""

import numpy as np
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from paintsundo_models.multi_frame.vae import ReferenceAttention, VideoAutoencoder

from ..evaluation import psnr
from ..latents import LATENT_SCALE
from ..loop import draw
from ..networks import weight_and_bias
from ..pictures import random_crop, sheet, to_pixels, to_states
from ..segments import random_segment, segment_steps
from .image_vae import reconstruction_loss
from .inputs import StageInputs

MOST_NOISE = 0.3
"""Largest deviation of the noise that is added to the scaled latents, whose own deviation is 1. The 3D UNet's latents
are inexact too. The noise makes the decoder rely on the two reference pictures where they show the same things."""


class VideoVAEStage:
    """Training of the video VAE's decoder: it reconstructs a segment from slightly noisy latents and the two end pictures.

    Args:
        network: to train.
        image_vae: trained; its weights are the beginning.
        inputs: sequences, settings, device.
    """

    def __init__(self, network: VideoAutoencoder, image_vae: AutoencoderKL, inputs: StageInputs) -> None:
        self.network, self.settings, self.device = network, inputs.settings, inputs.device
        begin_as(network, image_vae)
        network.requires_grad_(False)
        network.decoder.requires_grad_(True)
        self.shown = [inputs.held_out.states(0, segment_steps(*pair)) for pair in ((0, 400), (600, 800))]
        fix_reference_projections(network, to_pixels(np.concatenate(self.shown)))
        self.image_vae = image_vae.to(self.device).requires_grad_(False).eval()
        self.source = inputs.source
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
        """Return a random segment, cropped: (3, T, H, W)."""
        if len(self.videos) < self.settings.sequences:
            steps = segment_steps(*random_segment(generator))
            self.videos.append(self.source.states(len(self.videos) % len(self.source), steps))
            video = self.videos[-1]
        else:
            video = self.videos[draw(generator, len(self.videos))]
        if crop:
            video = random_crop(video, crop, generator)
        return to_pixels(video).transpose(0, 1)

    def sample(self, network: VideoAutoencoder) -> tuple[Image.Image, dict[str, float]]:
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
    """Copy the image VAE's weights; layers that only the video VAE has begin as identities.

    Given reference pictures, the video decoder skips `post_quant_conv`. Its effect is therefore merged into the
    convolution that follows it.

    Raises:
        ValueError: the image VAE has tensors that the video VAE lacks.
    """
    weights = image_vae.state_dict()
    for side in ("weight", "bias"):
        weights[f"decoder.conv_out.conv.{side}"] = weights.pop(f"decoder.conv_out.{side}")
    unknown = video_vae.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"The image VAE has tensors that the video VAE lacks: {', '.join(unknown)}.")
    post_weight, post_bias = weight_and_bias(video_vae.post_quant_conv)
    first_weight, first_bias = weight_and_bias(video_vae.decoder.conv_in)
    first_bias += torch.einsum("oihw,i->o", first_weight, post_bias)
    first_weight.copy_(torch.einsum("oihw,ij->ojhw", first_weight, post_weight[:, :, 0, 0]))
    last_weight, last_bias = weight_and_bias(video_vae.decoder.conv_out.time_mix_conv)
    for weight, bias in ((post_weight, post_bias), (last_weight, last_bias)):
        nn.init.dirac_(weight)
        nn.init.zeros_(bias)


@torch.no_grad()
def fix_reference_projections(video_vae: VideoAutoencoder, pixels: Tensor) -> None:
    """Draw the projections to keys and values at random, with outputs of about unit size, and do not train them.

    Queries and the output projection are trained. The encoder's features are not normalised: at the coarsest level
    they are in the hundreds, and a step of Adam, which is of the same size for every weight, would change keys and
    values completely. Random projections of 64 or 128 channels to 512 lose nothing.

    Args:
        video_vae: with a trained encoder; changed in place.
        pixels: (N, 3, H, W) in [-1, 1], the sample on which the features' size is measured.
    """
    for layer, features in zip(
        video_vae.decoder.attn_refinement, video_vae.encoder.features(pixels[::4]), strict=True
    ):
        if isinstance(layer, ReferenceAttention):
            for projection in (layer.to_k, layer.to_v):
                nn.init.normal_(
                    projection.get_parameter("weight"),
                    std=1 / float(features.square().mean() * features.shape[1]) ** 0.5,
                )
                projection.requires_grad_(False)
