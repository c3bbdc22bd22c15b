"""Errors that users can act on: each message says what was found, what is accepted and what to do."""


class CheckpointError(ValueError):
    """A checkpoint cannot be used."""


class CheckpointNotFoundError(CheckpointError):
    """There is no checkpoint at the given place; the message names the folder and where the files are published."""


class UnsupportedCheckpointError(CheckpointError):
    """The file or folder can be read but is not the model that was asked for."""


class CheckpointMismatchError(CheckpointError):
    """Tensors are missing, unexpected or of another shape than the model's."""


class CorruptCheckpointError(CheckpointError):
    """A file of weights is truncated or is not a safetensors file."""


class OverflowedNumbersError(RuntimeError):
    """The output of a network contains inf or NaN; the message names the network and the types to try."""


class VideoEncodingError(RuntimeError):
    """ffmpeg could not write the video; the message ends with ffmpeg's own words."""


class DownloadError(RuntimeError):
    """The released files cannot be fetched from the hub, or compared with it."""


class NotEnoughMemoryError(RuntimeError):
    """Memory ran out although smaller groups were tried; the message says at what, and what helps."""
