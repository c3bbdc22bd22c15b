"""Files that are broken in the ways that files get broken: cut short, another thing, changed bits, lying headers."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 3438167534\n"
)
WEB_PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not found</body></html>\n"
Change = Callable[[bytearray, random.Random], "bytes | bytearray"]


def _cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def _cut_early(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(min(64, len(data)))]


def _flip(data: bytearray, chance: random.Random, first: int = 0, last: int | None = None) -> bytearray:
    for _ in range(chance.choice((1, 8, 64))):
        data[chance.randrange(first, last or len(data))] ^= 1 << chance.randrange(8)
    return data


def _flip_start(data: bytearray, chance: random.Random) -> bytearray:
    return _flip(data, chance, 0, min(256, len(data)))


def _hole(data: bytearray, chance: random.Random) -> bytearray:
    begin = chance.randrange(len(data))
    end = min(len(data), begin + chance.choice((4, 64, 4096)))
    data[begin:end] = bytes(end - begin)
    return data


def _numbers(data: bytearray, chance: random.Random) -> bytearray:
    begin = chance.randrange(max(1, len(data) - 8))
    data[begin : begin + 4] = b"\xff" * 4
    return data


def _twice(data: bytearray, chance: random.Random) -> bytearray:
    begin = chance.randrange(len(data))
    return data[:begin] + data[: begin + 512] + data[begin:]


CHANGES: dict[str, Change] = {
    "cut short": _cut,
    "only a few bytes": _cut_early,
    "changed bits": _flip,
    "changed bits at the start": _flip_start,
    "a hole of zeros": _hole,
    "a huge number": _numbers,
    "a part twice": _twice,
    "empty": lambda data, chance: b"",
    "a Git LFS pointer": lambda data, chance: LFS_POINTER,
    "a web page": lambda data, chance: WEB_PAGE,
    "random bytes": lambda data, chance: chance.randbytes(2000),
    "zeros": lambda data, chance: bytes(2000),
}


def write_broken(good: bytes, folder: Path, ending: str, count: int, chance: random.Random) -> list[Path]:
    """Write `count` broken files made from a good one, and the entries that are no files; return all their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    names = list(CHANGES)
    for number in range(count):
        name = names[number % len(names)]
        path = folder / f"{number:03} {name}{ending}"
        path.write_bytes(CHANGES[name](bytearray(good), chance))
        paths.append(path)
    return paths + write_no_files(folder, ending)


def write_no_files(folder: Path, ending: str) -> list[Path]:
    """Make what has the name of a file and is none: a folder, and where the system knows them, links and a pipe."""
    path = folder / f"a folder{ending}"
    path.mkdir(exist_ok=True)
    paths = [path]
    if os.name != "nt":
        for name, target in (("dead link", "nowhere"), ("loop", f"loop{ending}"), ("endless", "/dev/zero")):
            link = folder / f"{name}{ending}"
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            paths.append(link)
        (folder / "to the folder above").unlink(missing_ok=True)
        (folder / "to the folder above").symlink_to("..", target_is_directory=True)
        pipe = folder / f"pipe{ending}"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        paths.append(pipe)
    return paths


def write_broken_checkpoint(good: Path, path: Path, chance: random.Random) -> None:
    """Write a safetensors file whose header is changed; the weights behind it are zeros that take no room on the disk."""
    with good.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    weights = good.stat().st_size - 8 - length
    name, change = chance.choice(list(HEADER_CHANGES.items()))
    change(header, chance)
    text = json.dumps(header).encode()
    said = len(text)
    if name == "length":
        said = chance.choice((0, 1, 2**31, 2**40, 2**63, 99_999_999, said + 1000))
    elif name == "brackets":
        text = b'{"a":' + b"[" * chance.choice((1000, 200_000)) + b"}"
        said = len(text)
    elif name == "bits":
        text, said = bytes(_flip(bytearray(text), chance)), len(text)
    elif name == "cut":
        weights = chance.randrange(weights)
    with path.open("wb") as file:
        file.write(said.to_bytes(8, "little") + text)
        file.truncate(file.tell() + weights)


def _entry(header: dict, chance: random.Random) -> dict:
    return header[chance.choice([name for name in header if name != "__metadata__"])]


def _unset(header: dict, chance: random.Random) -> None:
    for name in chance.sample(list(header), chance.choice((1, 20))):
        header.pop(name)


def _rename(header: dict, chance: random.Random) -> None:
    for name in chance.sample(list(header), chance.choice((1, 20))):
        header[chance.choice(("x.", "unet.", "")) + name[1:]] = header.pop(name)


def _changed(key: str, *values: object) -> Callable[[dict, random.Random], None]:
    def change(header: dict, chance: random.Random) -> None:
        _entry(header, chance)[key] = chance.choice(values)

    return change


HEADER_CHANGES: dict[str, Callable[[dict, random.Random], None]] = {
    "length": lambda header, chance: None,
    "brackets": lambda header, chance: None,
    "bits": lambda header, chance: None,
    "cut": lambda header, chance: None,
    "missing": _unset,
    "renamed": _rename,
    "shape": _changed("shape", [], [0], [-1, 4], [2**40], [3, 3, 3, 3, 3, 3], "4", [1.5], [None], None),
    "offsets": _changed("data_offsets", [0, 0], [0, 2**50], [10, 5], [-4, 4], [0], ["0", "4"], None),
    "dtype": _changed("dtype", "F1", "I64", "BOOL", "", None, 16, "F8_E4M3"),
    "entry": lambda header, chance: header.update(
        {chance.choice(list(header)): chance.choice(([], 1, "x", None))}
    ),
}

CONFIGS: tuple[str, ...] = (
    "",
    "{",
    "[]",
    "null",
    "3",
    '"text"',
    "[" * 200_000,
    '{"unet":' * 50_000,
    '{"unet": null}',
    '{"unet": []}',
    '{"vae": {"trained_sizes": [[65536, 65536]]}}',
    '{"vae": {"trained_sizes": "large"}}',
    '{"vae": {"trained_sizes": [[0, -4], [NaN, 1e999]]}}',
    '{"vae": {"latent_rgb_factors": [["a"]], "latent_rgb_factors_bias": {}}}',
    '{"vae": {"latent_rgb_factors": [[1e308, NaN, 0]]}}',
    '{"unet": {"attention_head_dim": 1000000000, "num_attention_heads": -7}}',
    '{"unet": {"attention_head_dim": "8", "num_attention_heads": [0, 0]}}',
    '{"text_encoder": {"num_attention_heads": 0, "hidden_act": "../../x"}}',
    '{"image_encoder": {"num_attention_heads": 7, "patch_size": 1e300, "hidden_act": 4}}',
    '{"unet": {"down_block_types": [' + '"X", ' * 50_000 + '"X"]}}',
    "\x00\x01\x02",
    LFS_POINTER.decode(),
    WEB_PAGE.decode(),
)
"""Texts of files that add to the configs of a checkpoint."""
