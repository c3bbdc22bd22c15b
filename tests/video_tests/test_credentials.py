"""Content Credentials with a key made on the spot: signed files read back by the package itself; and what can be wrong."""

import datetime
import json
import subprocess
import sys
from fractions import Fraction

import c2pa
import pytest
import torch
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from paintsundo_pack.paintsundo_models.errors import VideoEncodingError
from paintsundo_pack.paintsundo_models.video import credentials, mark
from paintsundo_pack.paintsundo_models.video import files as video_files

from tools.what_is import describe

FRAMES = torch.rand(3, 64, 80, 3, generator=torch.Generator().manual_seed(1))


def certificate(name, key, issuer_name, issuer_key, is_authority):
    """A certificate for a day, as C2PA wants those of signers and of their authorities."""
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not is_authority:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Paths of a signer's chain and of its key."""
    folder = tmp_path_factory.mktemp("keys")
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root, signer = (
        x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, n), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "T")]
        )
        for n in ("Root", "Painter")
    )
    chain = certificate(signer, key, root, root_key, False) + certificate(
        root, root_key, root, root_key, True
    )
    (folder / "chain.pem").write_bytes(chain)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture
def signing(pem, monkeypatch):
    for name, path in zip((credentials.CERTIFICATE_VARIABLE, credentials.KEY_VARIABLE), pem, strict=True):
        monkeypatch.setenv(name, str(path))


def read(path):
    """The signed statement of a file, after the package has checked every byte; what it has against it."""
    with c2pa.Reader(str(path)) as reader:
        found = json.loads(reader.json())
    assert found["validation_state"] == "Valid"
    complaints = {status["code"] for status in found.get("validation_status", [])}
    manifest = found["manifests"][found["active_manifest"]]
    (actions,) = [
        a["data"]["actions"] for a in manifest["assertions"] if a["label"].startswith("c2pa.actions")
    ]
    return actions, complaints


@pytest.mark.parametrize("name", ["mp4 (h264)", "gif", "png sequence"])
def test_signed_file_holds_the_statement_and_the_workflow(signing, tmp_path, ffprobe, name):
    metadata = {"workflow": "{}"}
    if name == "png sequence":
        (*_, last) = video_files.save_png_sequence(
            FRAMES, tmp_path / "frames", metadata, statement=mark.WITH_PICTURE
        )
        path = tmp_path / "frames" / last
    else:
        path = tmp_path / f"video{video_files.VIDEO_FORMATS[name].extension}"
        video_files.encode_video(
            FRAMES, path, Fraction(4), name, metadata=metadata, statement=mark.WITH_PICTURE
        )
        assert list(tmp_path.iterdir()) == [path]
    (action,), complaints = read(path)
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"] == mark.WITH_PICTURE.source_type
    assert complaints <= {"signingCredential.untrusted"}, "the certificate was made here"
    said = describe(path)
    assert mark.SENTENCE in said
    assert "XMP" in said
    assert "Content Credentials" in said
    command = [
        ffprobe,
        "-v",
        "error",
        "-count_frames",
        "-show_streams",
        "-show_format",
        "-of",
        "json",
        str(path),
    ]
    facts = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert int(facts["streams"][0]["nb_read_frames"]) == (1 if path.suffix == ".png" else 3)
    if path.suffix == ".mp4":
        assert facts["format"]["tags"]["workflow"] == "{}"


def test_webm_and_the_picture_that_was_given_are_saved_unsigned(signing, tmp_path):
    video_files.encode_video(FRAMES, tmp_path / "video.webm", Fraction(4), "webm (vp9)")
    video_files.save_png(FRAMES[0], tmp_path / "own.png", {})
    assert mark.SENTENCE in describe(tmp_path / "video.webm")
    for name in ("video.webm", "own.png"):
        assert "Content Credentials" not in describe(tmp_path / name)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (credentials.KEY_VARIABLE, "", "KEY is not set, and the other one is"),
        (credentials.CERTIFICATE_VARIABLE, "", "CERTIFICATE is not set, and the other one is"),
        (credentials.KEY_VARIABLE, "/nowhere/key.pem", "names /nowhere/key.pem, and there is no such file"),
        (credentials.ALGORITHM_VARIABLE, "rot13", 'is "rot13"; accepted are: es256'),
    ],
)
def test_wrong_variables_are_refused_before_there_are_frames(signing, monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(VideoEncodingError, match=message):
        video_files.check_format("mp4 (h264)")


def test_missing_package_is_named(signing, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(VideoEncodingError, match="pip install c2pa-python"):
        video_files.check_format("mp4 (h264)")


@pytest.mark.parametrize("wrong", ["key", "algorithm"])
def test_key_that_does_not_fit_leaves_no_file(signing, tmp_path, monkeypatch, pem, wrong):
    if wrong == "key":
        (tmp_path / "key.pem").write_text("none", encoding="utf-8")
        monkeypatch.setenv(credentials.KEY_VARIABLE, str(tmp_path / "key.pem"))
    else:
        monkeypatch.setenv(credentials.ALGORITHM_VARIABLE, "ed25519")
    (tmp_path / "out").mkdir()
    with pytest.raises(VideoEncodingError, match="Content Credentials could not be made with chain.pem"):
        video_files.encode_video(FRAMES, tmp_path / "out" / "video.mp4", Fraction(4), "mp4 (h264)")
    assert list((tmp_path / "out").iterdir()) == []
