"""Stage 3: the single-frame UNet. It learns to predict the noise, given the finished picture and the operation step."""

import numpy as np
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep, UNetModel
from PIL import Image
from torch import Tensor

from paintsundo_models.schedule import NUM_TIMESTEPS, SINGLE_FRAME_BETAS

from ..evaluation import psnr
from ..latents import LATENT_SCALE, EncodedSequence, encode
from ..loop import draw
from ..networks import OPERATION_CHANNELS
from ..pictures import sheet, to_pixels, to_states
from ..sequences import LAST_STEP
from .inputs import Encoded, StageInputs

FINISHED_SHARE = 16
"""One latent in so many is the finished picture itself; random operation steps are hardly ever 0."""

LARGEST_WEIGHT = 20.0
"""Upper bound of the weight of the noisiest timesteps, see SingleFrameStage.loss."""

SHOWN_STEPS = (0, 200, 400, 600, 800, 900, 999)
PREVIEW_STEPS = 20


class SingleFrameStage:
    """Training of the single-frame UNet: noise prediction on the model's own schedule, all timesteps equally often.

    Args:
        network: to train.
        vae: the image VAE, trained.
        encoded: latents and prompts to train on.
        inputs: held-out sequences, settings, device.
    """

    def __init__(self, network: UNetModel, vae: AutoencoderKL, encoded: Encoded, inputs: StageInputs) -> None:
        self.network, self.settings, self.device = network, inputs.settings, inputs.device
        self.vae = vae.to(self.device).requires_grad_(False).eval()
        self.groups = list(encoded.sequences.values())
        self.prompts = encoded.prompts.to(self.device)
        self.embed = Timestep(OPERATION_CHANNELS)
        betas = torch.linspace(*SINGLE_FRAME_BETAS, NUM_TIMESTEPS, dtype=torch.float64)
        self.alphas = torch.cumprod(1 - betas, dim=0).float().to(self.device)
        held_out = inputs.held_out
        self.shown = [held_out.states(index, SHOWN_STEPS) for index in held_out.of_first_size(4)]

    def loss(self, generator: torch.Generator, progress: float) -> Tensor:
        """Return the mean squared error of the noise, weighted by max(1, 1 / SNR) up to LARGEST_WEIGHT.

        The sampler begins at the noisiest timesteps, where a small error of the noise is a large one of the picture.
        Without the weight the loss would hardly notice these errors.
        """
        group = self.groups[draw(generator, len(self.groups))]
        drawn = [self._draw(group, generator) for _ in range(self.settings.batch)]
        clean, finished = (torch.stack(part).to(self.device) for part in list(zip(*drawn, strict=True))[:2])
        steps = torch.tensor([step for _, _, step in drawn], device=self.device)
        t = torch.randint(NUM_TIMESTEPS, (len(drawn),), generator=generator).to(self.device)
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        alpha = self.alphas[t][:, None, None, None]
        text = self.prompts[torch.randint(len(self.prompts), (len(drawn),), generator=generator)]
        predicted = self._predict(
            self.network, alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, t, finished, steps, text
        )
        weight = ((1 - alpha) / alpha).clamp(1, LARGEST_WEIGHT)
        return (weight * (predicted.float() - noise).square()).mean()

    def _draw(self, group: list[EncodedSequence], generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
        """Draw a state: its latent, the finished picture's latent (both float32), and its operation step."""
        sequence = group[draw(generator, len(group))]
        finished = sequence.finished.float()
        if draw(generator, FINISHED_SHARE) == 0:
            return finished, finished, 0
        segment, frame = draw(generator, len(sequence.steps)), draw(generator, sequence.steps.shape[1])
        step = min(
            int(sequence.steps[segment, frame]), LAST_STEP
        )  # the blank canvas (CANVAS) counts as LAST_STEP
        return sequence.segments[segment, frame].float(), finished, step

    def _predict(
        self, network: UNetModel, x: Tensor, t: Tensor, finished: Tensor, steps: Tensor, text: Tensor
    ) -> Tensor:
        embedded = self.embed(steps.float()).to(self.device)
        return network(torch.cat([x, finished], dim=1), t, context=text, y=embedded)

    def sample(self, network: UNetModel) -> tuple[Image.Image, dict[str, float]]:
        rows, quality, nearer = [], [], []
        for states in self.shown:
            painted = self._paint(network, to_pixels(states[:1]).to(self.device))
            rows += [states, painted]
            quality.append(psnr(states[0], painted[0]))
            errors = [
                [abs(row[i].astype(float) - states[i]).mean() for i in (1, 2, 3, 4)]
                for row in (painted, states[[0] * len(states)], states * 0 + 255)
            ]
            nearer += [own < min(others) for own, *others in zip(*errors, strict=True)]
        return sheet(rows), {"psnr": sum(quality) / len(quality), "nearer": sum(nearer) / len(nearer)}

    def _paint(self, network: UNetModel, pixels: Tensor) -> np.ndarray:
        """Sample the keyframes at SHOWN_STEPS by Euler's method, all from the same noise."""
        steps = torch.tensor(SHOWN_STEPS, device=self.device)
        finished = encode(self.vae, pixels).expand(len(steps), -1, -1, -1)
        sigmas = ((1 - self.alphas) / self.alphas).sqrt()
        timesteps = torch.linspace(NUM_TIMESTEPS - 1, 0, PREVIEW_STEPS).round().long().tolist()
        noise = torch.randn(finished[:1].shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        x = noise.expand_as(finished) * sigmas[timesteps[0]]
        text = self.prompts[:1].expand(len(steps), -1, -1)
        for t, following in zip(timesteps, [*timesteps[1:], None], strict=True):
            sigma = sigmas[t]
            times = torch.full((len(steps),), t, device=self.device)
            noise = self._predict(network, x / (1 + sigma**2).sqrt(), times, finished, steps, text)
            x = x + ((0.0 if following is None else sigmas[following]) - sigma) * noise
        return to_states(self.vae.decode(x / LATENT_SCALE))
