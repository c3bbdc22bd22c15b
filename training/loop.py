"""The training loop of every stage: resumable, with averaged weights, a progress bar, a log and sample sheets."""

import copy
import csv
import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from .optimizer import make_optimizer
from .precision import autocast
from .settings import StageSettings

SAVE_EVERY_S = 240.0
"""Seconds between checkpoints. An interrupted run loses at most the steps of this time."""

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class Stage(Protocol[NetworkT]):
    """A stage of the training, as the loop sees it."""

    @property
    def network(self) -> NetworkT:
        """Return the network; the loop trains those of its parameters that require gradients."""
        ...

    def loss(self, generator: torch.Generator, progress: float) -> Tensor:
        """Return the loss of a new batch.

        Args:
            generator: the only source of random numbers, so that a resumed run repeats the same batches.
            progress: share of the stage's steps that is done, 0 to 1.
        """
        ...

    def sample(self, network: NetworkT) -> tuple[Image.Image, dict[str, float]]:
        """Return a sheet of pictures that are not trained on, and figures about them.

        Args:
            network: the stage's network with averaged weights.
        """
        ...


class Run:
    """A stage's folder: last.pt to resume from, weights.pt when the stage is done, log.csv, samples.csv and samples/.

    Where there is a weights.pt and no last.pt, the stage begins with these weights instead of fresh ones.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.folder = name, folder / name
        (self.folder / "samples").mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        return self.folder / "last.pt"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.pt"

    def log(self, row: dict[str, float], name: str = "log") -> None:
        """Add a line to the CSV file `name`."""
        path = self.folder / f"{name}.csv"
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)


def train(stage: Stage[NetworkT], settings: StageSettings, run: Run, seed: int, device: torch.device) -> None:
    """Train a stage to its number of steps, beginning with the last checkpoint in its folder.

    Args:
        stage: network, batches and samples.
        settings: of the optimisation.
        run: the stage's folder.
        seed: together with the step number it decides every random number of a step.
        device: the network is moved there.
    """
    network = stage.network.to(device)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = make_optimizer(parameters, settings)
    averaged = copy.deepcopy(network).requires_grad_(False)
    step, seconds = _resume(run, network, averaged, optimizer)
    bar = tqdm(total=settings.steps, initial=step, desc=run.name, unit="step", dynamic_ncols=True)
    saved = started = time.monotonic()
    losses: list[Tensor] = []  # read every 20 steps, because reading one waits for the GPU
    while step < settings.steps:
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(step, settings)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        with autocast(device), _attention(device):
            loss = stage.loss(generator, step / settings.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        _average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))
        step += 1
        losses.append(loss.detach())
        bar.update()
        if step % 20 == 0 or step == settings.steps:
            mean = torch.stack(losses).mean().item()
            spent = seconds + time.monotonic() - started
            bar.set_postfix_str(f"loss {mean:.4f}")
            run.log(
                {
                    "step": step,
                    "loss": round(mean, 6),
                    "learning_rate": optimizer.param_groups[0]["lr"],
                    "seconds": round(spent),
                }
            )
            losses.clear()
        if time.monotonic() - saved > SAVE_EVERY_S or step == settings.steps:
            spent = seconds + time.monotonic() - started
            _save(run, network, averaged, optimizer, step, spent)
            with torch.no_grad():
                sheet, figures = stage.sample(averaged.eval())
            sheet.save(run.folder / "samples" / f"{step:06}.png")
            run.log({"step": step, **figures}, "samples")
            saved = time.monotonic()
    bar.close()
    _write(averaged.state_dict(), run.weights)


def learning_rate_factor(step: int, settings: StageSettings) -> float:
    """Return the share of the learning rate at a step, 0.01 to 1.

    It rises linearly over the warmup, then falls as half a cosine to a hundredth. Each restart begins this anew.
    """
    start = max((restart for restart in settings.restarts if restart <= step), default=0)
    end = min((restart for restart in settings.restarts if restart > step), default=settings.steps)
    if step - start < settings.warmup:
        return (step - start + 1) / settings.warmup
    progress = (step - start - settings.warmup) / max(1, end - start - settings.warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def _attention(device: torch.device) -> AbstractContextManager:
    """Choose unfused attention on a CPU, whose backward pass takes half the time of the fused kernel's at these sizes."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for old, new in zip(averaged.parameters(), network.parameters(), strict=True):
            old.lerp_(new, 1 - decay)


def _save(
    run: Run,
    network: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    state = {
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    _write(state, run.state)


def _write(state: dict, path: Path) -> None:
    """Replace a file in one step, so that an interrupted save leaves the old one whole."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def _resume(
    run: Run, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    if not run.state.exists():
        if run.weights.exists():  # left by start.unpack_checkpoints
            weights = torch.load(run.weights, map_location="cpu", weights_only=True)
            network.load_state_dict(weights)
            averaged.load_state_dict(weights)
        return 0, 0.0
    state = torch.load(run.state, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]


def draw(generator: torch.Generator, below: int) -> int:
    """Draw a whole number from 0 to below - 1."""
    return int(torch.randint(below, (1,), generator=generator))
