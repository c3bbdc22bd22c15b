"""Stage 1: the single-frame model's VAE, whose encoder serves both models."""

import numpy as np
import torch
import torch.nn.functional as F
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.distributions.distributions import DiagonalGaussianDistribution
from PIL import Image
from torch import Tensor, nn

from paintsundo_models.constants import LATENT_SCALE

from ..evaluation import psnr
from ..pictures import PictureSet, sheet, to_pixels, to_states
from ..sequences import ProceduralSequences, SequenceSource
from ..settings import StageSettings

KL_WEIGHT = 1e-6
HUE_WEIGHT = 10.0
STATES_PER_SEQUENCE = 4


class ImageVAEStage:
    """Reconstruction (L1 and L2) with a light pull of the posterior to the unit normal."""

    name = "image_vae"

    def __init__(
        self,
        network: AutoencoderKL,
        source: SequenceSource,
        held_out: ProceduralSequences,
        settings: StageSettings,
        device: torch.device,
    ) -> None:
        self.network, self.settings, self.device = network, settings, device
        generator = torch.Generator().manual_seed(0)
        self.pictures = PictureSet(source, settings.sequences, STATES_PER_SEQUENCE, generator)
        shown = held_out.of_first_size(6)
        self.shown = np.concatenate([held_out.states(index, [0, 500]) for index in shown])

    def loss(self, generator: torch.Generator, progress: float) -> Tensor:
        count, crop = self.settings.batch, self.settings.crop
        if self.settings.late_crop and progress >= self.settings.late_from:
            count = max(1, round(count * (crop / self.settings.late_crop) ** 2))
            crop = self.settings.late_crop
        pixels = self.pictures.batch(count, crop, generator).to(self.device)
        moments = self.network.quant_conv(self.network.encoder(pixels))
        posterior = DiagonalGaussianDistribution(moments.float())
        noise = torch.randn(posterior.mean.shape, generator=generator).to(self.device)
        decoded = self.network.decode(posterior.mean + posterior.std * noise).float()
        return reconstruction_loss(decoded, pixels) + KL_WEIGHT * posterior.kl().mean()

    def sample(self, network: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        pixels = to_pixels(self.shown).to(self.device)
        moments = network.quant_conv(network.encoder(pixels))
        decoded = to_states(network.decode(moments.chunk(2, dim=1)[0]))
        figures = {"psnr": float(np.mean([psnr(a, b) for a, b in zip(self.shown, decoded, strict=True)]))}
        return sheet([self.shown, decoded]), figures


def reconstruction_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """L1, which keeps edges sharp, L2, which the PSNR is made of, and L2 of the hues of 8x8 squares.

    Without the last the lines are learned first and the colours thousands of steps later: white, black and grey make
    up most of a picture's variance.

    Args:
        decoded: (N, 3, H, W) or (N, 3, T, H, W) in about [-1, 1].
        pixels: what it should be.
    """
    difference = decoded - pixels
    hues = difference - difference.mean(dim=1, keepdim=True)
    squares = F.avg_pool2d(hues.flatten(0, -4), 8)
    return difference.abs().mean() + 2 * difference.square().mean() + HUE_WEIGHT * squares.square().mean()


@torch.no_grad()
def whiten(network: AutoencoderKL, pixels: Tensor) -> None:
    """Fold a change of scale into the 1x1 convolutions, after which scaled latents have mean 0 and deviation 1.

    What the VAE reconstructs stays the same. Diffusion wants unit variance, and LATENT_SCALE is fixed.

    Args:
        network: trained.
        pixels: (N, 3, H, W) in [-1, 1], enough to measure on.
    """
    mean, _ = network.quant_conv(network.encoder(pixels)).chunk(2, dim=1)
    center = mean.mean(dim=(0, 2, 3))
    factor = 1 / (LATENT_SCALE * mean.std(dim=(0, 2, 3)))
    channels = len(center)
    quant, post = network.quant_conv, network.post_quant_conv
    post.bias += post.weight[:, :, 0, 0] @ center
    post.weight /= factor[None, :, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - center) * factor
    quant.weight[:channels] *= factor[:, None, None, None]
    quant.bias[channels:] += 2 * factor.log()
