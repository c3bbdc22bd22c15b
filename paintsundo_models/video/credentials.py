"""Content Credentials (C2PA) with the user's own key: the statement of a file, signed, for those who have a certificate.

Signing is off unless two environment variables name a certificate and a key. They are no widgets, because a workflow
that is passed on would contain the paths. Needs the
package c2pa-python, which nothing else of the pack uses. WebM cannot hold Content Credentials.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import VideoEncodingError
from .mark import Statement

CERTIFICATE_VARIABLE = "PAINTSUNDO_C2PA_CERTIFICATE"
KEY_VARIABLE = "PAINTSUNDO_C2PA_KEY"
ALGORITHM_VARIABLE = "PAINTSUNDO_C2PA_ALGORITHM"
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
"""Kinds of signature; the first is the default."""

SIGNED_ENDINGS = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}


@dataclass(frozen=True)
class SigningKey:
    """The certificate and the key that sign a file.

    Attributes:
        certificate: file of the certificate and those above it, in PEM, the signer's own first.
        key: file of its private key, in PEM.
        algorithm: one of ALGORITHMS.
    """

    certificate: Path
    key: Path
    algorithm: str


def signing_key() -> SigningKey | None:
    """Return the key that the environment names, or None if it names none.

    Raises:
        VideoEncodingError: only one of the two files is named, one is not there, the algorithm is unknown, or the
            package is missing.
    """
    certificate, key = (os.environ.get(name, "") for name in (CERTIFICATE_VARIABLE, KEY_VARIABLE))
    if not certificate and not key:
        return None
    for name, path in ((CERTIFICATE_VARIABLE, certificate), (KEY_VARIABLE, key)):
        if not Path(path).is_file():
            given = f"names {path}, and there is no such file" if path else "is not set, and the other one is"
            raise VideoEncodingError(
                f"Content Credentials need the environment variables {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}, each with "
                f"the path of a PEM file; {name} {given}. Set both, or neither to save without."
            )
    algorithm = os.environ.get(ALGORITHM_VARIABLE, "") or ALGORITHMS[0]
    if algorithm not in ALGORITHMS:
        raise VideoEncodingError(
            f'{ALGORITHM_VARIABLE} is "{algorithm}"; accepted are: {", ".join(ALGORITHMS)}.'
        )
    try:
        import c2pa  # noqa: F401
    except ImportError as error:
        raise VideoEncodingError(
            f"{CERTIFICATE_VARIABLE} is set, so files are to get Content Credentials, and the Python package c2pa-python is "
            'missing. Install it into ComfyUI\'s Python with "python -m pip install c2pa-python", or unset the variable. '
            f"({error})"
        ) from error
    return SigningKey(Path(certificate), Path(key), algorithm)


def sign_file(path: Path, statement: Statement, key: SigningKey) -> None:
    """Sign a whole file of ours in its place; nothing may be changed in it afterwards. A WebM stays as it is.

    Raises:
        VideoEncodingError: the key, the certificate and the algorithm do not fit together, or the file cannot be signed.
    """
    kind = SIGNED_ENDINGS.get(path.suffix)
    if kind is None:
        return
    import c2pa

    signed = path.with_name(f"signed{path.suffix}")
    try:
        info = c2pa.C2paSignerInfo(
            key.algorithm.encode(), key.certificate.read_bytes(), key.key.read_bytes(), None
        )
        with (
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(json.dumps(_manifest(statement))) as builder,
            path.open("rb") as source,
            signed.open("w+b") as target,
        ):
            builder.sign(signer, kind, source, target)
    except (c2pa.C2paError, OSError) as error:
        raise VideoEncodingError(
            f"Content Credentials could not be made with {key.certificate.name} and {key.key.name} ({key.algorithm}). Check "
            f"the two files and {ALGORITHM_VARIABLE}, or unset {CERTIFICATE_VARIABLE} and {KEY_VARIABLE} to save without. "
            f"The package said: {error}"
        ) from error
    signed.replace(path)


def _manifest(statement: Statement) -> dict[str, object]:
    created = {
        "action": "c2pa.created",
        "digitalSourceType": statement.source_type,
        "description": statement.sentence,
    }
    return {
        "claim_generator_info": [{"name": "PaintsUndo for ComfyUI"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }
