"""Every file says what it is, in forms that other programs read; and what our own reader says of any file."""

import json
import subprocess
from fractions import Fraction

import pytest
import torch
from paintsundo_pack.paintsundo_models.video import files as video_files
from paintsundo_pack.paintsundo_models.video import mark
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tools.command import CommandError
from tools.containers import read_contents
from tools.what_is import describe

FILES = [name for name in video_files.VIDEO_FORMATS if name != video_files.PNG_SEQUENCE]
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
WORKFLOW = {"workflow": json.dumps({"note": mark.SENTENCE, "nodes": []})}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of each format with the mark; format -> path."""
    folder = tmp_path_factory.mktemp("marked")
    frames = torch.rand(3, 64, 80, 3, generator=torch.Generator().manual_seed(1))
    paths = {}
    for name in FILES:
        path = folder / f"{len(paths)}{video_files.VIDEO_FORMATS[name].extension}"
        video_files.encode_video(
            frames, path, Fraction(4), name, metadata=WORKFLOW, statement=mark.WITH_PICTURE
        )
        paths[name] = path
    names = video_files.save_png_sequence(frames, folder / "sequence", WORKFLOW, statement=mark.WITH_PICTURE)
    paths |= {f"frame {i}": folder / "sequence" / name for i, name in enumerate(names)}
    return paths


@pytest.mark.parametrize("name", [*FILES, "frame 0", "frame 1", "frame 2"])
def test_exiftool_reads_the_mark(written, exiftool, name):
    command = [exiftool, "-json", "-warning", "-DigitalSourceType", "-Description", "-Comment"]
    (found,) = json.loads(subprocess.run([*command, written[name]], capture_output=True, check=True).stdout)
    assert found["DigitalSourceType"] == SOURCE_TYPE
    assert found["Description"] == found["Comment"] == mark.SENTENCE
    assert "Warning" not in found


@pytest.mark.parametrize("name", FILES)
def test_ffprobe_reads_the_mark(written, ffprobe, name):
    command = [ffprobe, "-v", "error", "-show_format", "-of", "json", str(written[name])]
    tags = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["format"]["tags"]
    tags = {key.lower(): value for key, value in tags.items()}
    assert tags["comment"] == mark.SENTENCE
    if name != video_files.GIF:
        assert (tags["description"], tags["digital_source_type"]) == (mark.SENTENCE, SOURCE_TYPE)
        assert tags["workflow"] == WORKFLOW["workflow"]


def test_pillow_reads_the_mark(written):
    with Image.open(written["gif"]) as gif:
        assert gif.info["comment"].decode() == mark.SENTENCE
        assert gif.info["loop"] == 0
        assert gif.n_frames == 3
    with Image.open(written["frame 2"]) as png:
        assert png.text["Comment"] == mark.SENTENCE
        assert SOURCE_TYPE.encode() in png.info["xmp"]
        assert png.text["workflow"] == WORKFLOW["workflow"]


def test_mp4_ends_with_the_packet_in_a_box_of_its_own(written):
    """Walked here, box by box, without the reader that is tested."""
    data, boxes, position = written["mp4 (h264)"].read_bytes(), [], 0
    while position < len(data):
        size, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        boxes.append((name, data[position + 8 : position + size]))
        position += size
    assert [name for name, _ in boxes[-3:]] == [b"mdat", b"uuid", b"free"]
    assert [name for name, _ in boxes].index(b"moov") < [name for name, _ in boxes].index(b"mdat")
    content = boxes[-2][1]
    assert content[:16].hex().upper() == "BE7ACFCB97A942E89C71999491E3AFAC"
    assert content[16:].decode() == mark.xmp_packet(mark.WITH_PICTURE)


@pytest.mark.parametrize("name", [*FILES, "frame 1"])
def test_what_is_says_it_of_our_files(written, name):
    said = describe(written[name])
    assert mark.SENTENCE in said
    assert "digital source type: compositeWithTrainedAlgorithmicMedia" in said
    assert "no statement" not in said
    assert "cut short" not in said


def test_a_picture_that_somebody_gave_gets_no_claim(tmp_path):
    video_files.save_png(torch.rand(8, 8, 3), tmp_path / "own.png", WORKFLOW)
    assert not read_contents(tmp_path / "own.png").texts
    assert "no statement found" in describe(tmp_path / "own.png")


def test_words_outside_of_their_place_are_no_statement(written, tmp_path):
    texts = PngInfo()
    texts.add_text("workflow", mark.SENTENCE)
    texts.add_text("Comment", f"copied: {mark.SENTENCE}")
    texts.add_text("XML:com.adobe.xmp", mark.xmp_packet(mark.BY_MODELS).replace("Iptc4xmpExt:", "other:"))
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=texts)
    with path.open("ab") as file:
        file.write(mark.xmp_packet(mark.BY_MODELS).encode())
    assert "no statement found" in describe(path)
    (tmp_path / "text.mp4").write_text(mark.xmp_packet(mark.BY_MODELS), encoding="utf-8")
    assert "no statement found. This is no MP4" in describe(tmp_path / "text.mp4")


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_source_type_of_other_programs_pictures(tmp_path, suffix):
    packet = mark.xmp_packet(mark.Statement(mark.SOURCE_TYPES + "digitalCapture", "A cat & a dog"))
    Image.new("RGB", (8, 8)).save(tmp_path / f"photo{suffix}", xmp=packet.encode())
    said = describe(tmp_path / f"photo{suffix}")
    assert "digital source type: digitalCapture (recorded by a camera)" in said
    assert mark.SENTENCE not in said


def test_file_of_a_phone_and_of_the_hosts_own_node_have_none(tmp_path):
    """A QuickTime file with comments and a place, and what Save Video makes."""
    from comfy_api.latest import InputImpl, Types

    frames = torch.rand(3, 64, 80, 3)
    InputImpl.VideoFromComponents(
        Types.VideoComponents(images=frames, audio=None, frame_rate=Fraction(4))
    ).save_to(str(tmp_path / "core.mp4"), metadata={"workflow": WORKFLOW})
    phone = {"com.apple.quicktime.make": "Phone", "comment": "My holidays", "location": "+48+011/"}
    import imageio_ffmpeg

    texts = [part for key, value in phone.items() for part in ("-metadata", f"{key}={value}")]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", tmp_path / "core.mp4", "-c", "copy"]
    subprocess.run([*command, *texts, tmp_path / "phone.mov"], check=True)
    assert ("comment", "My holidays") in read_contents(tmp_path / "phone.mov").texts
    for name in ("core.mp4", "phone.mov"):
        assert f"{name}: no statement found. That says nothing" in describe(tmp_path / name)


@pytest.mark.parametrize("name", [*FILES, "frame 0"])
def test_damaged_files_give_a_sentence(written, tmp_path, name):
    data = written[name].read_bytes()
    path = tmp_path / "damaged"
    for length in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:length])
        said = describe(path)
        assert "no statement found" in said or mark.SENTENCE in said
    path.write_bytes(data[: len(data) // 2])
    assert "cut short" in describe(path)
    generator = torch.Generator().manual_seed(1)
    for _ in range(60):
        broken = bytearray(data)
        for place in torch.randint(12, len(data), (20,), generator=generator).tolist():
            broken[place] = 255
        path.write_bytes(broken)
        describe(path)


def test_strangers_texts_cannot_steer_the_terminal_nor_fill_memory(tmp_path):
    texts = PngInfo()
    evil = mark.Statement(mark.SOURCE_TYPES + "\u202eevil\u009b31m" + "x" * 5000)
    texts.add_itxt(mark.PNG_XMP_KEYWORD, mark.xmp_packet(evil))
    for _ in range(200):
        texts.add_text("Comment", "a" * (1 << 20), zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "evil.png", pnginfo=texts)
    said = describe(tmp_path / "evil.png")
    assert "??" not in said
    assert "?evil?31m" in said
    assert len(said) < 500
    assert len(read_contents(tmp_path / "evil.png").texts) <= 64
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x>&a;</x>'
    texts = PngInfo()
    texts.add_itxt(mark.PNG_XMP_KEYWORD, entities)
    Image.new("RGB", (8, 8)).save(tmp_path / "bomb.png", pnginfo=texts)
    assert "no statement found" in describe(tmp_path / "bomb.png")


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(CommandError, match="There is no file"):
        describe(tmp_path / "nothing.mp4")
    with pytest.raises(CommandError, match="is a folder"):
        describe(tmp_path)
