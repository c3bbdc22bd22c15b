"""What the Hugging Face hub has published of both models and the tagger: names, sizes, hashes. No ComfyUI in here.

The list comes from huggingface_hub, so HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and its time-outs act as they do elsewhere.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DownloadError
from .parts import MULTI_FRAME, PARTS, SINGLE_FRAME

TAGGER, EVERYTHING = "tagger", "all"
WHAT = (SINGLE_FRAME, MULTI_FRAME, TAGGER, EVERYTHING)
"""What can be downloaded."""

SHA256_DIGITS = 64  # the hub names large files by their sha256, and small ones by git's sha1 of 40 digits
TERMS = r"(?:README|LICENSE)[\w.-]*"


@dataclass(frozen=True)
class Source:
    """A repository of the hub.

    Attributes:
        repository: owner and name.
        folder: where its files go, below models/paintsundo.
        wanted: what the names of the files match that are downloaded.
        needed: patterns, each of which at least one file has to match.
    """

    repository: str
    folder: str
    wanted: str
    needed: tuple[str, ...]


def _model(kind: str, name: str) -> Source:
    """A model's source: what the loaders read of it, and the text of its terms."""
    parts = "|".join(PARTS[kind])
    return Source(
        f"lllyasviel/{name}",
        name,
        rf"(?:{parts})/[\w.-]+\.(?:safetensors|json)|{TERMS}",
        tuple(rf"{part}/[\w.-]+\.safetensors" for part in PARTS[kind]),
    )


SOURCES = {
    SINGLE_FRAME: _model(SINGLE_FRAME, "paints_undo_single_frame"),
    MULTI_FRAME: _model(MULTI_FRAME, "paints_undo_multi_frame"),
    TAGGER: Source(
        "lllyasviel/misc",
        "",
        r"wd-v1-4-moat-tagger-v2\.(?:onnx|csv)",
        (r"wd-v1-4-moat-tagger-v2\.onnx", r"wd-v1-4-moat-tagger-v2\.csv"),
    ),
}


_NO_REVISION = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|//|^/|[/.]$")
"""What Git allows in no name of a branch, tag or commit; and halves of characters, which no address can hold."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of the hub.

    Attributes:
        name: where it goes, below models/paintsundo, with forward slashes.
        size: in bytes.
        digest: sha256 of a large file, git's sha1 of a small one; hexadecimal.
        url: where its bytes are.
    """

    name: str
    size: int
    digest: str
    url: str

    def new_hash(self) -> Any:
        """A hash of hashlib that is `digest` after all bytes of the file."""
        if len(self.digest) == SHA256_DIGITS:
            return hashlib.sha256()
        # Git's name of a file is the sha1 of this header and the content.
        return hashlib.sha1(b"blob %d\0" % self.size)

    def path_in(self, folder: Path) -> Path:
        """Where it goes, with `folder` as models/paintsundo."""
        return folder.joinpath(*self.name.split("/"))


def sources_of(what: str) -> list[Source]:
    """The repositories that have `what` (one of WHAT)."""
    return list(SOURCES.values()) if what == EVERYTHING else [SOURCES[what]]


def require_revision(revision: str) -> None:
    """Check what can be known of a revision without asking the hub: Git's rules for names.

    Raises:
        ValueError: no branch, tag or commit can have this name.
    """
    if _NO_REVISION.search(revision):
        raise ValueError(
            f"No branch, tag or commit can have the name {ascii(revision)}: write it as the model's page on the hub shows it, "
            "or leave revision empty for the newest."
        )


def list_published(what: str, revision: str = "", endpoint: str | None = None) -> list[PublishedFile]:
    """Ask the hub which files it has; blocks until it has answered.

    Args:
        what: one of WHAT.
        revision: a branch, tag or commit; empty for the newest.
        endpoint: the hub's address; None as HF_ENDPOINT says, else the public one.

    Raises:
        DownloadError: the hub cannot be asked, or does not have what is needed.
    """
    return [file for source in sources_of(what) for file in _list_source(source, revision, endpoint)]


def _list_source(source: Source, revision: str, endpoint: str | None) -> list[PublishedFile]:
    from huggingface_hub import HfApi, constants, hf_hub_url

    api = HfApi(endpoint=endpoint)
    try:
        info = api.model_info(
            source.repository,
            revision=revision or None,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    except Exception as error:
        # The hub's client has changed its HTTP library twice, and each has errors of other classes.
        raise _explained(error, source, revision, api.endpoint) from error
    files = {}
    for entry in info.siblings or []:
        digest = entry.lfs.sha256 if entry.lfs else entry.blob_id
        if re.fullmatch(source.wanted, entry.rfilename) and entry.size is not None and digest:
            # By the commit, not by the branch: list and files belong together even when somebody pushes meanwhile.
            url = hf_hub_url(source.repository, entry.rfilename, revision=info.sha, endpoint=api.endpoint)
            name = f"{source.folder}/{entry.rfilename}" if source.folder else entry.rfilename
            files[entry.rfilename] = PublishedFile(name, entry.size, digest, url)
    for pattern in source.needed:
        if not any(re.fullmatch(pattern, name) for name in files):
            lacking = pattern.replace("\\", "").replace("[w.-]+", "*")
            raise DownloadError(
                f"{api.endpoint}/{source.repository} lists no {lacking} with its size and hash{_at(revision)}: leave the revision "
                "empty for the newest, and if HF_ENDPOINT is set, try without that mirror."
            )
    return list(files.values())


def _at(revision: str) -> str:
    return f" at revision {revision!r}" if revision else ""


def _explained(error: Exception, source: Source, revision: str, endpoint: str) -> DownloadError:
    """What a failed question to the hub means, in a sentence that says what to do."""
    from huggingface_hub import errors

    page = f"{endpoint}/{source.repository}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return DownloadError(
            "HF_HUB_OFFLINE is set, so the hub was not asked: unset it and start again, or get the files another way."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return DownloadError(
            f"{page} has no revision {revision!r}: write a branch, tag or commit that it has, or leave it empty for the newest."
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return DownloadError(refused(status, page))
    if status == 429:
        return DownloadError(too_many_requests(page, None))
    if status is not None:
        return DownloadError(
            f"{page} answered with the error {status}: try again later, or set HF_ENDPOINT to a mirror."
        )
    return DownloadError(
        f"{page} gave no list of its files ({_cause(error)}): check the connection, or set HF_ENDPOINT to a mirror."
    )


def _cause(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]


def refused(status: int | None, page: str) -> str:
    """Message for the answers 401, 403 and 404."""
    if status in (401, 403):
        return (
            f"{page} asks for a token that may read it (error {status}): set HF_TOKEN, or log in with `hf auth login`, "
            "and start again."
        )
    return f"There is nothing at {page} (error 404): check HF_ENDPOINT, or the page of the models, which may have moved."


def too_many_requests(page: str, seconds: float | None) -> str:
    """Message for the answer 429."""
    when = f"in {seconds:.0f} s" if seconds else "in some minutes"
    return f"{page} takes no more requests for now (error 429): start again {when}; a token in HF_TOKEN raises the limit."
