"""Broken files of every sort that the pack reads: checkpoints, configs, pictures, videos, taggers, kept segments."""

import random
import shutil
import time
from pathlib import Path

from tools.comfy_client import Json
from tools.workflow import combo_options

from . import broken
from .bench import MULTI, PICTURE, SINGLE, Bench
from .openers import Opener, good_segment, good_tagger
from .prompts import Case, is_python, outcome, own_lines
from .report import Report

SECONDS_FIRST_LIST, SECONDS_NEXT_LIST = 2.0, 0.5  # of the processor
UNUSABLE = " (cannot be used)"  # as paintsundo_models.constants has it; the lists show it
LOADERS = {"PaintsUndoSingleFrameLoader": SINGLE, "PaintsUndoMultiFrameLoader": MULTI}
CHECKPOINTS, OTHERS = 6, 4  # files for each round
FORMATS = ("mp4 (h264)", "webm (vp9)", "gif", "png sequence")


def torture(bench: Bench, rounds: int) -> Report:
    """Open `rounds` times some files of each sort."""
    report, chance = Report(bench.say), bench.random_of("files")
    checkpoints(bench, report, rounds * CHECKPOINTS, chance)
    configs(bench, report, chance.sample(broken.CONFIGS, min(rounds, len(broken.CONFIGS))))
    opener = Opener()
    folder = bench.base / "broken"
    try:
        good: list[tuple[str, Path]] = []
        for kind, paths in other_files(bench, folder, rounds * OTHERS, chance, good).items():
            results = [(path, *opener.open(kind, path)) for path in paths]
            judge(report, kind, results)
        refused = [
            f"{kind}: {answer}" for kind, path in good if (answer := opener.open(kind, path))[0] != "opened"
        ]
        report.none_of(f"of the {len(good)} whole files from which these were made, not opened", refused)
    finally:
        opener.close()
        shutil.rmtree(folder)
    return report


def judge(report: Report, kind: str, results: list[tuple[Path, str, str]]) -> None:
    """Add the rows of one sort of files: how each ended, and what was said."""
    bad = [
        f"{path.name}: {how}, {text}" for path, how, text in results if how in ("failed", "hangs", "ended")
    ]
    bad += [f"{path.name}: {text}" for path, how, text in results if how == "refused" and is_python(text)]
    refused = sum(how == "refused" for _, how, _ in results)
    report.figure(f"broken {kind}; of these refused", f"{len(results)}; {refused}")
    report.none_of(f"{kind} that crashed, hung or gave a message with words of Python", bad)


def other_files(
    bench: Bench, folder: Path, count: int, chance: random.Random, good: list[tuple[str, Path]]
) -> dict[str, list[Path]]:
    """Write broken pictures, videos, taggers and kept segments; return their paths by the opener's kind.

    The whole files from which they are made are added to `good`.
    """
    model, tags = good_tagger()
    whole = [("taggers", "onnx", model), ("segments", "safetensors", good_segment(chance))]
    whole += [("pictures", ending, data) for ending, data in good_pictures().items()]
    whole += [("videos", ending, data) for ending, data in good_videos(bench).items()]
    found: dict[str, list[Path]] = {}
    for kind, ending, data in whole:
        own = folder / kind / ending
        number = count if kind in ("taggers", "segments") else count // 3 + 1
        found.setdefault(kind, []).extend(broken.write_broken(data, own, f".{ending}", number, chance))
        (own / f"whole.{ending}").write_bytes(data)
        good.append((kind, own / f"whole.{ending}"))
        own.chmod(0o700)  # finished segments are only taken from a folder in which nobody else can write
    for number, path in enumerate([*found["taggers"], folder / "taggers" / "onnx" / "whole.onnx"]):
        path.with_suffix(".csv").write_text(tags, encoding="utf-8")
        if number % 8 == 7:  # the other file of the two is broken
            path.unlink() if path.is_symlink() or not path.is_dir() else path.rmdir()
            path.write_bytes(model)
            change = chance.choice(list(broken.CHANGES.values()))
            path.with_suffix(".csv").write_bytes(change(bytearray(tags, "utf-8"), chance))
    return found


def good_pictures() -> dict[str, bytes]:
    """Return a picture in each format that Pillow writes and people have, by ending."""
    import io

    from PIL import Image

    found = {}
    with Image.open(PICTURE) as picture:
        for name in ("png", "jpeg", "webp", "tiff", "gif", "bmp"):
            data = io.BytesIO()
            picture.convert("P" if name == "gif" else "RGB").save(data, name)
            found[name] = data.getvalue()
    return found


def good_videos(bench: Bench) -> dict[str, bytes]:
    """Return a file of the video node in each format, by ending."""
    found = {}
    for name in FORMATS:
        prompt = bench.chain(format=name)
        entry = bench.finish(prompt)
        file = next(
            files["images"][-1] for key, files in entry["outputs"].items()
            if prompt[key]["class_type"] == "PaintsUndoAssembleVideo"
        )  # fmt: skip
        found[file["filename"].rpartition(".")[2]] = bench.server.client.view(file)
    return found


def checkpoints(bench: Bench, report: Report, count: int, chance: random.Random) -> None:
    """Put broken files among the checkpoints, look at the lists, and choose each."""
    folder, client = bench.models / "broken", bench.server.client
    folder.mkdir()
    for number in range(count):
        good = bench.models / chance.choice((SINGLE, MULTI))
        broken.write_broken_checkpoint(good, folder / f"header {number:03}.safetensors", chance)
    broken.write_broken((bench.models / SINGLE).read_bytes()[:200_000], folder, ".safetensors", 24, chance)
    diffusers = bench.base / "models" / "diffusers" / "another model" / "unet"
    broken.write_broken(broken.LFS_POINTER, diffusers, ".safetensors", 12, chance)
    seconds, worked, info = [], [], {}
    for _ in range(2):
        start, before = time.monotonic(), bench.processor_time()
        info = {loader: client.object_info(loader)[loader] for loader in LOADERS}
        seconds.append(time.monotonic() - start)
        worked.append(bench.processor_time() - before)
    lists = {loader: combo_options(info, loader, "checkpoint") for loader in LOADERS}
    report.count("broken checkpoints in the folders", len(list(folder.iterdir())))
    report.figure(
        "both lists with them: the first time, and again", f"{seconds[0]:.2f} s, {seconds[1]:.3f} s"
    )
    report.at_most("processor time of the server for the first", worked[0], SECONDS_FIRST_LIST, "s")
    report.at_most("processor time of the server for the second", worked[1], SECONDS_NEXT_LIST, "s")
    order = [
        f"{loader}: {name}"
        for loader, names in lists.items()
        for name, follower in zip(names, names[1:], strict=False)
        if name.endswith(UNUSABLE) and not follower.endswith(UNUSABLE)
    ]
    report.none_of("entries that are known as broken and stand before a good one", order)
    report.none_of(
        "lists that begin with a broken file", [n for n, x in lists.items() if x[0].endswith(UNUSABLE)]
    )
    chosen = [load(loader, name) for loader, names in lists.items() for name in names if "broken" in name]
    texts = [(case, outcome(bench, case)[1]) for case in chosen]
    report.count("choices of one of them", len(chosen))
    report.count("of these loaded all the same", [t for _, t in texts].count(None))
    bad = [f"{case.name}: {text}" for case, text in texts if text and is_bad(text)]
    report.none_of("choices that crashed, hung or gave a message with words of Python", bad)
    shutil.rmtree(folder)
    shutil.rmtree(diffusers)


def configs(bench: Bench, report: Report, texts: list[str]) -> None:
    """Load good checkpoints beside which a broken file of configs lies."""
    bad = []
    for number, text in enumerate(texts):
        for loader, good in LOADERS.items():
            path = bench.models / f"config {number}.safetensors"
            path.symlink_to(good)
            path.with_suffix(".configs.json").write_text(text, encoding="utf-8")
            found = outcome(bench, load(loader, path.name))[1]
            if found and is_bad(found):
                bad.append(f"{text[:60]!r} for {loader}: {found}")
            for file in (path, path.with_suffix(".configs.json")):
                file.unlink()
    report.count("loadings with a broken file of configs", len(LOADERS) * len(texts))
    report.none_of("of these that crashed, hung or gave a message with words of Python", bad)


def is_bad(text: str) -> bool:
    """Return whether the outcome of a prompt is none that a user can act on."""
    return text in ("ended", "hangs") or is_python(own_lines(text))


def load(loader: str, name: str) -> Case:
    """Return the prompt that loads a checkpoint."""
    inputs: Json = {"checkpoint": name, "weight_dtype": "default"}
    node = {"class_type": loader, "inputs": inputs}
    sink = {"class_type": "TortureSink", "inputs": {"value": ["node", 0]}}
    return Case(f"{loader} {name}", {"node": node, "sink": sink}, is_wrong=True)
