"""Stage 1: the single-frame model's VAE, whose encoder serves both models."""

import numpy as np
import torch
import torch.nn.functional as F
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.distributions.distributions import DiagonalGaussianDistribution
from PIL import Image
from torch import Tensor

from ..evaluation import psnr
from ..latents import LATENT_SCALE
from ..networks import weight_and_bias
from ..pictures import PictureSet, sheet, to_pixels, to_states
from .inputs import StageInputs

KL_WEIGHT = 1e-6
HUE_WEIGHT = 10.0
STATES_PER_SEQUENCE = 4


class ImageVAEStage:
    """Training of the image VAE: reconstruction (L1 and L2), and a small KL term towards the unit normal distribution.

    Args:
        network: to train; its parameters that require gradients are trained.
        inputs: pictures, settings, device.
    """

    def __init__(self, network: AutoencoderKL, inputs: StageInputs) -> None:
        self.network, self.settings, self.device = network, inputs.settings, inputs.device
        generator = torch.Generator().manual_seed(0)
        self.pictures = PictureSet(inputs.source, self.settings.sequences, STATES_PER_SEQUENCE, generator)
        shown = inputs.held_out.of_first_size(6)
        self.shown = np.concatenate([inputs.held_out.states(index, [0, 500]) for index in shown])

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

    def sample(self, network: AutoencoderKL) -> tuple[Image.Image, dict[str, float]]:
        pixels = to_pixels(self.shown).to(self.device)
        moments = network.quant_conv(network.encoder(pixels))
        decoded = to_states(network.decode(moments.chunk(2, dim=1)[0]))
        figures = {"psnr": float(np.mean([psnr(a, b) for a, b in zip(self.shown, decoded, strict=True)]))}
        return sheet([self.shown, decoded]), figures


def reconstruction_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """Return L1 (keeps edges sharp) plus L2 (the PSNR's measure) plus L2 of the mean hues of 8x8 squares.

    White, black and grey make up most of a picture's variance. Without the hues' term, the network learns lines first
    and colours thousands of steps later.

    Args:
        decoded: (N, 3, H, W) or (N, 3, T, H, W) in about [-1, 1].
        pixels: the true pixels, of the same shape.
    """
    difference = decoded - pixels
    hues = difference - difference.mean(dim=1, keepdim=True)
    squares = F.avg_pool2d(hues.flatten(0, -4), 8)
    return difference.abs().mean() + 2 * difference.square().mean() + HUE_WEIGHT * squares.square().mean()


@torch.no_grad()
def whiten(network: AutoencoderKL, pixels: Tensor) -> None:
    """Change the VAE's 1x1 convolutions so that its scaled latents have mean 0 and deviation 1 in each channel.

    Reconstructions stay the same. The diffusion networks need unit variance, and LATENT_SCALE is fixed.

    Args:
        network: a trained VAE, changed in place.
        pixels: (N, 3, H, W) in [-1, 1], the sample on which mean and deviation are measured.
    """
    mean, _ = network.quant_conv(network.encoder(pixels)).chunk(2, dim=1)
    center = mean.mean(dim=(0, 2, 3))
    factor = 1 / (LATENT_SCALE * mean.std(dim=(0, 2, 3)))
    channels = len(center)
    quant_weight, quant_bias = weight_and_bias(network.quant_conv)
    post_weight, post_bias = weight_and_bias(network.post_quant_conv)
    post_bias += post_weight[:, :, 0, 0] @ center
    post_weight /= factor[None, :, None, None]
    quant_bias[:channels] = (quant_bias[:channels] - center) * factor
    quant_weight[:channels] *= factor[:, None, None, None]
    quant_bias[channels:] += 2 * factor.log()
