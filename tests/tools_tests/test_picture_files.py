"""Pictures that ComfyUI's Load Image opens are opened, and their colours are those that people see."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
