"""A training run: the stages in the order of the command line, each reading the results of earlier ones from files."""

from collections.abc import Sequence
from pathlib import Path

import torch
from comfy.ldm.models.autoencoder import AutoencoderKL

from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME

from . import encoders, networks
from .export import export_multi_frame, export_single_frame
from .latents import encode_sequences, load_sequences
from .loop import NetworkT, Run, Stage, train
from .pictures import PictureSet, to_pixels
from .sequences import ProceduralSequences, RecordedSequences, SequenceSource
from .settings import Settings
from .stages.image_vae import ImageVAEStage, whiten
from .stages.inputs import Encoded, StageInputs, VisionTokens
from .stages.multi_frame import SHOWN_SEGMENTS, MultiFrameStage
from .stages.single_frame import SingleFrameStage
from .stages.video_vae import VideoVAEStage
from .start import WHITENED, unpack_checkpoints

ENDLESS = 10**6
"""Number of the procedural painter's sequences: more than any training takes."""


def run(
    stages: Sequence[str], settings: Settings, folder: Path, recordings: Path | None, start: Path | None
) -> None:
    """Do some stages of a run.

    Args:
        stages: names from train.STAGES.
        settings: of the run.
        folder: the run's folder.
        recordings: folder of recordings to train on, or None for the procedural painter.
        start: folder of the checkpoints to begin with, or None for fresh weights.

    Raises:
        ValueError: the recordings or the checkpoints to begin with cannot be used.
        FileNotFoundError: a stage needs the result of an earlier one.
    """
    trainer = Trainer(settings, folder, recordings)
    if start:
        unpack_checkpoints(start, settings.networks, folder)
    for stage in stages:
        torch.manual_seed(settings.seed)  # a stage's first weights do not depend on the stages before it
        getattr(trainer, stage)()


class Trainer:
    """The stages of one run; each public method is one of train.STAGES.

    Args:
        settings: of the run.
        folder: the run's folder.
        recordings: folder of recordings to train on, or None for the procedural painter.
    """

    def __init__(self, settings: Settings, folder: Path, recordings: Path | None) -> None:
        self.settings, self.folder = settings, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_flush_denormal(True)  # saves a sixth of the time on a CPU
        self.source: SequenceSource = (
            RecordedSequences(recordings, settings.sizes)
            if recordings
            else ProceduralSequences(settings.first_seed, ENDLESS, settings.sizes)
        )
        self.held_out = ProceduralSequences(0, settings.first_seed, settings.sizes)

    def image_vae(self) -> None:
        """Train the image VAE, then bring its latents to unit variance."""
        network = networks.image_vae(self.settings.networks)
        self._train("image_vae", ImageVAEStage(network, self._inputs("image_vae")))
        vae = self._trained(networks.image_vae(self.settings.networks), "image_vae")
        pictures = PictureSet(self.source, 60, 4, torch.Generator().manual_seed(1))
        whiten(vae, pictures.batch(120, 0, torch.Generator().manual_seed(2)).to(self.device))
        torch.save(vae.state_dict(), self.folder / "image_vae" / WHITENED)

    def image_decoder(self) -> None:
        """Train the image VAE's decoder further. Its latents stay the same, so the UNets can be trained before or after."""
        network = self._trained(networks.image_vae(self.settings.networks), "image_vae", WHITENED)
        network.decoder.requires_grad_(True)
        network.post_quant_conv.requires_grad_(True)
        self._train("image_decoder", ImageVAEStage(network, self._inputs("image_decoder")))

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
        network = networks.video_vae(self.settings.networks)
        self._train("video_vae", VideoVAEStage(network, self._image_vae(), self._inputs("video_vae")))

    def single_frame(self) -> None:
        """Train the single-frame UNet."""
        network = networks.single_frame_unet(self.settings.networks)
        vae, encoded = self._image_vae(), self._encoded(SINGLE_FRAME)
        self._train("single_frame", SingleFrameStage(network, vae, encoded, self._inputs("single_frame")))

    def multi_frame(self) -> None:
        """Train the 3D UNet."""
        network = networks.multi_frame_unet(self.settings.networks)
        stage = MultiFrameStage(
            network,
            self._trained(networks.video_vae(self.settings.networks), "video_vae"),
            self._encoded(MULTI_FRAME),
            self._vision_tokens(),
            self.settings.dropout,
            self._inputs("multi_frame"),
        )
        self._train("multi_frame", stage)

    def export(self) -> None:
        """Write a checkpoint of each model whose UNet is trained.

        Raises:
            FileNotFoundError: neither UNet is trained.
        """
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

    def _inputs(self, stage: str) -> StageInputs:
        return StageInputs(self.source, self.held_out, self.settings.stages[stage], self.device)

    def _train(self, name: str, stage: Stage[NetworkT]) -> None:
        run = Run(self.folder, name)
        train(stage, self.settings.stages[name], run, self.settings.seed, self.device)

    def _encoded(self, kind: str) -> Encoded:
        sequences = load_sequences(self.folder / "latents")
        return Encoded(sequences, encoders.prompt_embeddings(self.settings.networks, kind))

    def _vision_tokens(self) -> VisionTokens:
        vision = encoders.vision_encoder(self.settings.networks)
        grey = {
            (height // 8, width // 8): encoders.vision_tokens(vision, torch.zeros(2, 3, height, width))
            for height, width in self.settings.sizes
        }
        ends = [to_pixels(self.held_out.states(0, pair)) for pair in SHOWN_SEGMENTS]
        return VisionTokens(grey, [encoders.vision_tokens(vision, pixels)[None] for pixels in ends])

    def _image_vae(self) -> AutoencoderKL:
        """Load the image VAE, with the decoder of the stage image_decoder where that is done."""
        network = networks.image_vae(self.settings.networks)
        if (self.folder / "image_decoder" / "weights.pt").exists():
            return self._trained(network, "image_decoder")
        return self._trained(network, "image_vae", WHITENED)

    def _trained(self, network: NetworkT, stage: str, name: str = "weights.pt") -> NetworkT:
        """Fill a network with a stage's weights and freeze it.

        Raises:
            FileNotFoundError: the stage is not done.
        """
        path = self.folder / stage / name
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}. Run the stage {stage} first.")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.requires_grad_(False).eval().to(self.device)
