"""Sequences encoded once as latents and vision tokens, in files of a run. The two diffusion stages train on them."""

import os
from dataclasses import dataclass
from pathlib import Path

import comfy.latent_formats
import torch
from comfy.clip_vision import ClipVisionModel
from comfy.ldm.models.autoencoder import AutoencoderKL
from torch import Tensor
from tqdm import tqdm

from .encoders import vision_tokens
from .pictures import to_pixels
from .precision import autocast
from .segments import random_segment, segment_steps
from .sequences import SequenceSource

LATENT_SCALE: float = comfy.latent_formats.SD15().scale_factor
"""Both VAEs' latents are multiplied by this after encoding and divided by it before decoding, as in SD 1.5."""

PER_FILE = 50
PICTURES_AT_ONCE = 4
"""Batch size of the VAE: small, so that memory stays small at any picture size and a processor's caches suffice."""


@dataclass(frozen=True)
class EncodedSequence:
    """Scaled latents of a sequence: the finished picture and some segments."""

    finished: Tensor  # (4, h, w)
    segments: Tensor  # (N, 16, 4, h, w)
    steps: Tensor  # (N, 16) operation steps, int16
    looks: Tensor  # (N, 2, L, D) vision tokens of each segment's first and last picture


def encode_sequences(
    source: SequenceSource,
    count: int,
    segments: int,
    vae: AutoencoderKL,
    vision: ClipVisionModel,
    folder: Path,
    seed: int,
) -> None:
    """Encode sequences into files of PER_FILE, named by their first and last number. Existing files are kept.

    Args:
        source: the sequences.
        count: number of sequences to encode, or all where the source has fewer.
        segments: number of random segments of each sequence.
        vae: the image VAE, whitened.
        vision: the vision encoder.
        folder: for the files.
        seed: of the choice of segments.
    """
    device = next(vae.parameters()).device
    folder.mkdir(parents=True, exist_ok=True)
    count = min(count, len(source))
    for start in tqdm(range(0, count, PER_FILE), desc="latents", unit="file"):
        numbers = range(start, min(start + PER_FILE, count))
        path = folder / f"{start:06}-{numbers[-1]:06}.pt"
        if path.exists():
            continue
        encoded = []
        for index in numbers:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
            steps = [segment_steps(*random_segment(generator)) for _ in range(segments)]
            pixels = to_pixels(source.states(index, [0, *(step for row in steps for step in row)]))
            videos = pixels[1:].unflatten(0, (segments, -1))
            latent = encode(vae, pixels.to(device)).half().cpu()
            sequence = EncodedSequence(
                finished=latent[0],
                segments=latent[1:].unflatten(0, (segments, -1)),
                steps=torch.tensor(steps, dtype=torch.int16),
                looks=vision_tokens(vision, videos[:, [0, -1]].flatten(0, 1))
                .half()
                .unflatten(0, (segments, 2)),
            )
            encoded.append(vars(sequence))
        unfinished = path.with_suffix(".unfinished")
        torch.save(encoded, unfinished)
        # Remove a shorter file, written when the source had fewer sequences, or one named as earlier versions did.
        for other in folder.glob(f"{start:06}*.pt"):
            other.unlink()
        os.replace(unfinished, path)


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """Encode pictures (N, 3, H, W) in [-1, 1] to the posterior's mode, scaled: (N, 4, H/8, W/8) float32."""
    with autocast(pixels.device):
        moments = [vae.quant_conv(vae.encoder(few)).float() for few in pixels.split(PICTURES_AT_ONCE)]
    return torch.cat(moments).chunk(2, dim=1)[0] * LATENT_SCALE


def latent_size(latent: Tensor) -> tuple[int, int]:
    """Return the last two dimensions of a latent (..., h, w)."""
    height, width = latent.shape[-2:]
    return height, width


def load_sequences(folder: Path) -> dict[tuple[int, int], list[EncodedSequence]]:
    """Read all encoded sequences of a folder, grouped by the (h, w) of their latents.

    Raises:
        ValueError: there are none.
    """
    groups: dict[tuple[int, int], list[EncodedSequence]] = {}
    for path in sorted(folder.glob("*.pt")):
        for entry in torch.load(path, weights_only=True):
            sequence = EncodedSequence(**entry)
            groups.setdefault(latent_size(sequence.finished), []).append(sequence)
    if not groups:
        raise ValueError(f"There are no encoded sequences in {folder}. Run the stage latents first.")
    return groups
