"""Pictures that ComfyUI's Load Image opens are opened, and their colours are those that people see."""

import io
import struct
from pathlib import Path

import folder_paths
import numpy as np
import pytest
from PIL import Image, ImageCms

import nodes
from tools.pictures import PictureError, load_picture

CASES = Path(__file__).parents[1] / "data" / "cases"


def pixels(image):
    return np.asarray(image).astype(int)


def test_display_p3_looks_like_srgb():
    difference = pixels(load_picture(CASES / "colours_displayp3.png")) - pixels(
        load_picture(CASES / "colours_srgb.png")
    )
    assert np.abs(difference).max() <= 1


def test_cmyk_without_a_profile_is_opened():
    with Image.open(CASES / "cmyk.jpg") as image:
        assert (image.mode, image.info.get("icc_profile")) == ("CMYK", None)
        expected = image.convert("RGB")
    notes = []
    assert np.array_equal(pixels(load_picture(CASES / "cmyk.jpg", note=notes.append)), pixels(expected))
    assert notes == []


def made_with(profile, mode, pixels_of_profile):
    """Pixels of a file whose colours were made with a profile, and the sRGB colours that they stand for."""
    picture = Image.new(mode, (16, 16), pixels_of_profile)
    srgb = ImageCms.profileToProfile(
        picture,
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    return picture, srgb.getpixel((0, 0))


def adobe_rgb():
    """An Adobe RGB (1998) profile, made from its published primaries, white point and gamma."""

    def fixed(number):
        return struct.pack(">i", round(number * 65536))

    def xyz(*numbers):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, numbers))

    # Primaries and white point of Adobe RGB (1998), adapted to D50, as its profile holds them.
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.19921875 * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 10) + b"Adobe RGB\0" + bytes(78 + 4)
    tags = {
        b"desc": text,
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return profile_of(b"mntrRGB XYZ ", tags)


def profile_of(kind, tags):
    """An ICC profile of version 2 with these tags; kind: its device, colour space and connection space."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x40\0\0" + kind + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header + bytes(128 - len(header)) + table + body


def cmyk_profile():
    """A profile of an imagined printer: a table of the Lab colours of its 16 overprints."""
    inks = {0: (-32, -42), 1: (62, -6), 2: (-8, 80), 3: (0, 0)}  # a and b of cyan, magenta, yellow and black
    table = b""
    for corner in range(16):
        on = [ink for ink in range(4) if corner >> (3 - ink) & 1]
        light = 0 if 3 in on else 240 - 70 * len(on)
        a, b = (0, 0) if 3 in on else (sum(inks[ink][axis] for ink in on) for axis in (0, 1))
        table += bytes([max(0, light), min(255, max(0, a + 128)), min(255, max(0, b + 128))])
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if number % 4 == 0 else 0 for number in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + table + ramp * 3
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78 + 5),
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": lut,
    }
    return profile_of(b"prtrCMYKLab ", tags)


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_with_a_profile_looks_as_it_did(tmp_path, ending):
    profile = cmyk_profile()
    picture, srgb = made_with(ImageCms.ImageCmsProfile(io.BytesIO(profile)), "CMYK", (20, 200, 60, 10))
    assert np.abs(np.subtract(picture.convert("RGB").getpixel((0, 0)), srgb)).max() > 20, (
        "the profile matters"
    )
    file = tmp_path / f"a.{ending}"
    picture.save(file, icc_profile=profile, **({"quality": 100, "subsampling": 0} if ending == "jpg" else {}))
    notes = []
    assert np.abs(np.subtract(load_picture(file, note=notes.append).getpixel((8, 8)), srgb)).max() <= 4
    assert notes == []


@pytest.mark.parametrize(("mode", "make"), [("RGB", "adobe_rgb"), ("CMYK", "cmyk_profile")])
def test_load_image_of_the_host_opens_the_same_files(tmp_path, monkeypatch, mode, make):
    """It passes profiles over; the picture that it makes is one that the nodes take."""
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    Image.new(mode, (16, 24), (90,) * len(mode)).save(tmp_path / "a.jpg", icc_profile=globals()[make]())
    image, _ = nodes.LoadImage().load_image("a.jpg")
    assert image.shape == (1, 24, 16, 3)
    assert load_picture(tmp_path / "a.jpg").size == (16, 24)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_adobe_rgb_looks_as_it_did(tmp_path, ending):
    profile = adobe_rgb()
    picture, srgb = made_with(ImageCms.ImageCmsProfile(io.BytesIO(profile)), "RGB", (120, 200, 80))
    assert abs(srgb[0] - 120) > 20, "the profile matters"
    file = tmp_path / f"a.{ending}"
    picture.save(file, icc_profile=profile, **({"quality": 100, "subsampling": 0} if ending == "jpg" else {}))
    assert np.abs(np.subtract(load_picture(file).getpixel((8, 8)), srgb)).max() <= 2


def test_alpha_survives_the_profile(tmp_path):
    with Image.open(CASES / "colours_displayp3.png") as image:
        profile, clear = image.info["icc_profile"], image.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png", icc_profile=profile)
    assert pixels(load_picture(tmp_path / "clear.png")).min() == 255


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200])
def test_profile_that_cannot_be_read_is_passed_over(tmp_path, profile):
    Image.new("RGB", (8, 8), (9, 99, 199)).save(tmp_path / "a.png", icc_profile=profile)
    notes = []
    assert load_picture(tmp_path / "a.png", note=notes.append).getpixel((0, 0)) == (9, 99, 199)
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("cut_short.jpg", "cut short"),
        ("long_itxt.png", "damaged or cut short"),
        ("bad_exif_type.jpg", "EXIF data"),
    ],
)
def test_damaged_file_is_opened_with_a_note(name, note):
    notes = []
    picture = load_picture(CASES / name, note=notes.append)
    assert picture.mode == "RGB"
    assert pixels(picture).std() > 1
    assert len(notes) == 1
    assert note in notes[0]


def test_what_is_no_picture_is_still_refused():
    with pytest.raises(PictureError, match="cannot be read as a picture"):
        load_picture(CASES / "git_lfs_pointer.safetensors")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255]),
        (np.array([[0, 32768, 65535]], np.float32), [0, 128, 255]),
        (np.array([[0, np.nan, 1]], np.float32), [0, 0, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 2**31, 2**32 - 1]], np.uint32).view(np.int32), [0, 128, 255]),
    ],
)
def test_numbers_of_32_bits_are_read_by_their_range(tmp_path, values, expected):
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert pixels(load_picture(tmp_path / "a.tif"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("layers", "expected"), [(-1, 255), (1, 40), (0, 40)])
def test_selection_saved_in_a_psd_is_no_transparency(tmp_path, layers, expected):
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 4, 2, 2, 8, 3)
    section = struct.pack(">Ih", 2, layers)
    body = struct.pack(">H", 0) + bytes([40] * 12) + bytes(4)  # three channels of grey 40, a fourth of 0
    file = tmp_path / "a.psd"
    file.write_bytes(header + struct.pack(">III", 0, 0, len(section)) + section + body)
    assert pixels(load_picture(file)).min() == expected
