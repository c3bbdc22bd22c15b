"""A training run: its stages in order, the two VAEs with the encoding between them, the two diffusion networks, the export."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from . import encoders, networks
from .export import export_multi_frame, export_single_frame
from .latents import encode_sequences, load_sequences
from .loop import Run, train
from .pictures import PictureSet, to_pixels
from .sequences import ProceduralSequences, RecordedSequences, SequenceSource
from .settings import Settings
from .stages.image_vae import ImageVAEStage, whiten
from .stages.multi_frame import SHOWN_SEGMENTS, MultiFrameStage
from .stages.single_frame import SingleFrameStage
from .stages.video_vae import VideoVAEStage
from .start import unpack_checkpoints

ENDLESS = 10**6
"""The procedural painter does not run out of seeds."""


def run(
    stages: Sequence[str], settings: Settings, folder: Path, recordings: Path | None, start: Path | None
) -> None:
    """Do the stages named.

    Args:
        stages: of train.STAGES.
        settings: of the run.
        folder: of the run.
        recordings: folder of recordings to train on, or None for the procedural painter.
        start: folder of the checkpoints to begin from, or None for fresh weights.

    Raises:
        ValueError: recordings, or checkpoints to begin from, that cannot be used.
        FileNotFoundError: a stage needs an earlier one's result.
    """
    trainer = Trainer(settings, folder, recordings)
    if start:
        unpack_checkpoints(start, settings.networks, folder)
    for stage in stages:
        torch.manual_seed(settings.seed)  # of first weights: a stage's do not depend on what was done before
        getattr(trainer, stage)()


class Trainer:
    """The stages of one run; each method is one of train.STAGES."""

    def __init__(self, settings: Settings, folder: Path, recordings: Path | None) -> None:
        self.settings, self.folder = settings, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_flush_denormal(True)  # a sixth faster on a CPU
        self.source: SequenceSource = (
            RecordedSequences(recordings, settings.sizes)
            if recordings
            else ProceduralSequences(settings.first_seed, ENDLESS, settings.sizes)
        )
        self.held_out = ProceduralSequences(0, settings.first_seed, settings.sizes)

    def image_vae(self) -> None:
        """Train the image VAE, then bring its latents to unit variance."""
        settings = self.settings.stages["image_vae"]
        network = networks.image_vae(self.settings.networks)
        stage = ImageVAEStage(network, self.source, self.held_out, settings, self.device)
        run = self._run("image_vae")
        train(stage, settings, run, self.settings.seed, self.device)
        vae = self._trained(networks.image_vae(self.settings.networks), "image_vae")
        pictures = PictureSet(self.source, 60, 4, torch.Generator().manual_seed(1))
        whiten(vae, pictures.batch(120, 0, torch.Generator().manual_seed(2)).to(self.device))
        torch.save(vae.state_dict(), run.folder / "whitened.pt")

    def image_decoder(self) -> None:
        """Train the image VAE's decoder further. Latents stay what they are, so the diffusion networks need not wait."""
        settings = self.settings.stages["image_decoder"]
        network = self._trained(networks.image_vae(self.settings.networks), "image_vae", "whitened.pt")
        network.decoder.requires_grad_(True)
        network.post_quant_conv.requires_grad_(True)
        stage = ImageVAEStage(network, self.source, self.held_out, settings, self.device)
        stage.name = "image_decoder"
        train(stage, settings, self._run("image_decoder"), self.settings.seed, self.device)

    def latents(self) -> None:
        """Encode the sequences that the diffusion stages train on."""
        encode_sequences(
            self.source,
            self.settings.sequences,
            self.settings.segments_per_sequence,
            self._image_vae(),
            encoders.vision_encoder(self.settings.networks),
            self.folder / "latents",
            self.settings.seed,
        )

    def video_vae(self) -> None:
        """Train the video VAE's decoder."""
        settings = self.settings.stages["video_vae"]
        network = networks.video_vae(self.settings.networks)
        stage = VideoVAEStage(network, self._image_vae(), self.source, self.held_out, settings, self.device)
        train(stage, settings, self._run("video_vae"), self.settings.seed, self.device)

    def single_frame(self) -> None:
        """Train the single-frame UNet."""
        settings = self.settings.stages["single_frame"]
        stage = SingleFrameStage(
            networks.single_frame_unet(self.settings.networks),
            self._image_vae(),
            load_sequences(self.folder / "latents"),
            encoders.prompt_embeddings(self.settings.networks, encoders.SINGLE_FRAME),
            self.held_out,
            settings,
            self.device,
        )
        train(stage, settings, self._run("single_frame"), self.settings.seed, self.device)

    def multi_frame(self) -> None:
        """Train the 3D UNet."""
        settings = self.settings.stages["multi_frame"]
        vision = encoders.vision_encoder(self.settings.networks)
        shown = [to_pixels(self.held_out.states(0, [pair[0], pair[1]])) for pair in SHOWN_SEGMENTS]
        grey = {
            (height // 8, width // 8): encoders.look(vision, torch.zeros(2, 3, height, width))
            for height, width in self.settings.sizes
        }
        stage = MultiFrameStage(
            networks.multi_frame_unet(self.settings.networks),
            self._trained(networks.video_vae(self.settings.networks), "video_vae"),
            load_sequences(self.folder / "latents"),
            encoders.prompt_embeddings(self.settings.networks, encoders.MULTI_FRAME),
            grey,
            [encoders.look(vision, pixels)[None] for pixels in shown],
            self.held_out,
            self.settings.dropout,
            settings,
            self.device,
        )
        train(stage, settings, self._run("multi_frame"), self.settings.seed, self.device)

    def export(self) -> None:
        """Write the checkpoints of what is trained, one or both, in the released layout."""
        widths, target = self.settings.networks, self.folder / "export"
        files = []
        if (self.folder / "single_frame" / "weights.pt").exists():
            unet = self._trained(networks.single_frame_unet(widths), "single_frame")
            files.append(export_single_frame(self.settings, self._image_vae(), unet, target))
        if (self.folder / "multi_frame" / "weights.pt").exists():
            vae = self._trained(networks.video_vae(widths), "video_vae")
            unet = self._trained(networks.multi_frame_unet(widths), "multi_frame")
            files.append(export_multi_frame(self.settings, vae, unet, target))
        if not files:
            raise FileNotFoundError(
                f"There is nothing to export in {self.folder}. Run single_frame or multi_frame first."
            )
        for file in files:
            print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")

    def _run(self, stage: str) -> Run:
        return Run(self.folder, stage)

    def _image_vae(self) -> nn.Module:
        """With the further trained decoder where there is one."""
        network = networks.image_vae(self.settings.networks)
        if (self.folder / "image_decoder" / "weights.pt").exists():
            return self._trained(network, "image_decoder")
        return self._trained(network, "image_vae", "whitened.pt")

    def _trained(self, network: nn.Module, stage: str, name: str = "weights.pt") -> nn.Module:
        path = self.folder / stage / name
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}. Run the stage {stage} first.")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.requires_grad_(False).eval().to(self.device)
