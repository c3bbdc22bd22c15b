"""Stage 4: the 3D UNet with its image projection. It learns to predict v, given the first and the last frame."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paintsundo_models.constants import DEFAULT_FS
from paintsundo_models.multi_frame.process import ScaledZeroSNRSampling
from paintsundo_models.multi_frame.unet import UNet3D
from paintsundo_models.multi_frame.vae import VideoAutoencoder
from paintsundo_models.schedule import NUM_TIMESTEPS, clean_latent_scale, zero_snr_alphas_cumprod

from ..evaluation import mean, score_segment
from ..latents import LATENT_SCALE, EncodedSequence, latent_size
from ..loop import draw
from ..pictures import sheet, to_pixels, to_states
from ..segments import segment_steps
from .inputs import Encoded, StageInputs, VisionTokens

PREVIEW_STEPS = 10
LAST = NUM_TIMESTEPS - 1
SHOWN_SEGMENTS = ((0, 400), (600, 800))


class MultiFrameStage:
    """Training of the 3D UNet: v prediction with zero terminal SNR and the scaled clean latent.

    Args:
        network: to train.
        vae: the video VAE, trained.
        encoded: latents and prompts to train on.
        vision: tokens for guidance dropout and for the sample sheet.
        dropout: share of batch entries whose vision tokens are those of grey pictures, 0 to 1.
        inputs: held-out sequences, settings, device.
    """

    def __init__(
        self,
        network: UNet3D,
        vae: VideoAutoencoder,
        encoded: Encoded,
        vision: VisionTokens,
        dropout: float,
        inputs: StageInputs,
    ) -> None:
        self.network, self.settings, self.device = network, inputs.settings, inputs.device
        self.vae = vae.to(self.device).requires_grad_(False).eval()
        self.groups = list(encoded.sequences.values())
        self.prompts = encoded.prompts.to(self.device)
        self.vision, self.dropout = vision, dropout
        self.alphas = zero_snr_alphas_cumprod().float().to(self.device)
        self.scales = clean_latent_scale().float().to(self.device)
        self.process = ScaledZeroSNRSampling().to(self.device)
        self.shown = [inputs.held_out.states(0, segment_steps(*pair)) for pair in SHOWN_SEGMENTS]

    def loss(self, generator: torch.Generator, progress: float) -> Tensor:
        group = self.groups[draw(generator, len(self.groups))]
        drawn = [self._draw(group, generator) for _ in range(self.settings.batch)]
        clean, looks = (torch.stack(part).to(self.device) for part in zip(*drawn, strict=True))
        clean = clean.transpose(1, 2)  # (B, 4, 16, h, w)
        t = draw_timesteps(len(drawn), generator).to(self.device)
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        alpha, scale = (table[t][:, None, None, None, None] for table in (self.alphas, self.scales))
        signal = scale * clean
        x = alpha.sqrt() * signal + (1 - alpha).sqrt() * noise
        v = alpha.sqrt() * noise - (1 - alpha).sqrt() * signal
        text = self.prompts[torch.randint(len(self.prompts), (len(drawn),), generator=generator)]
        predicted = self._predict(self.network, x, t, ends_of(clean), looks, text)
        return (predicted.float() - v).square().mean()

    def _draw(self, group: list[EncodedSequence], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a segment: its latents (16, 4, h, w) and the vision tokens (2, L, D) of its ends or of grey pictures; float32."""
        sequence = group[draw(generator, len(group))]
        segment = draw(generator, len(sequence.segments))
        latents = sequence.segments[segment].float()
        if float(torch.rand(1, generator=generator)) < self.dropout:
            return latents, self.vision.grey[latent_size(latents)].float()
        return latents, sequence.looks[segment].float()

    def _predict(
        self, network: UNet3D, x: Tensor, t: Tensor, ends: Tensor, looks: Tensor, text: Tensor
    ) -> Tensor:
        return network(
            torch.cat([x, ends], dim=1),
            t,
            text,
            image_context=network.project_images(looks),
            fs=torch.full((len(x),), DEFAULT_FS, device=self.device),
        )

    def sample(self, network: UNet3D) -> tuple[Image.Image, dict[str, float]]:
        rows, scores = [], []
        for index, (video, looks) in enumerate(zip(self.shown, self.vision.shown, strict=True)):
            made = self._interpolate(network, video, looks)
            rows += [video[::3], made[::3]]
            scores.append(score_segment(index, SHOWN_SEGMENTS[index], made, video))
        figures = ("error", "fade_error", "sharp_error", "sharp_fade_error")
        return sheet(rows), {name: mean(getattr(score, name) for score in scores) for name in figures}

    def _interpolate(self, network: UNet3D, video: np.ndarray, looks: Tensor) -> np.ndarray:
        """Sample a segment between the first and the last frame of `video` by Euler's method."""
        pixels = to_pixels(video).to(self.device).transpose(0, 1)[None]
        references = pixels[:, :, [0, -1]]
        clean = self.vae.encode(references) * LATENT_SCALE
        ends = torch.zeros(1, 4, len(video), *clean.shape[-2:], device=self.device)
        ends[:, :, 0], ends[:, :, -1] = clean[:, :, 0], clean[:, :, 1]
        sigmas = self.process.trailing_sigmas(PREVIEW_STEPS).to(self.device)
        noise = torch.randn(ends.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        x = self.process.noise_scaling(sigmas[:1], noise, torch.zeros_like(ends), max_denoise=True)
        for sigma, following in zip(sigmas[:-1], sigmas[1:], strict=True):
            t = self.process.timestep(sigma[None])
            v = self._predict(
                network,
                self.process.calculate_input(sigma[None], x),
                t,
                ends,
                looks.to(self.device, torch.float32),
                self.prompts[:1],
            )
            denoised = self.process.calculate_denoised(sigma[None], v.float(), x)
            x = denoised + (x - denoised) * (following / sigma)
        decoded = self.vae.decode(x / LATENT_SCALE, references)
        return to_states(decoded[0].transpose(0, 1))


def draw_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """Draw timesteps (count,), a third of them above 900.

    At these timesteps the latent is nearly all noise, and the network decides from the two ends what is painted when.
    A small network needs longer to learn this than to remove the remaining noise afterwards.
    """
    return (NUM_TIMESTEPS * (1 - torch.rand(count, generator=generator).square())).long().clamp(max=LAST)


def ends_of(clean: Tensor) -> Tensor:
    """Return the concat condition: a copy of (B, 4, T, h, w) with all but the first and the last frame zero."""
    ends = torch.zeros_like(clean)
    ends[:, :, 0], ends[:, :, -1] = clean[:, :, 0], clean[:, :, -1]
    return ends
