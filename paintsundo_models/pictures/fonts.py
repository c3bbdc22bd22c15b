"""Which font draws a text: the one that Pillow brings, or one of the system's that has the letters of any script.

Pillow's own has the letters of English only, and no package that the host brings has others. Every system has fonts for the
scripts its user writes, in a handful of folders.
"""

import functools
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_MOST_FONTS = 3000  # looked through at most; a full system has about a thousand
_PROBE_PX = 24
_NO_LETTER = "\U0010fffe"  # no font has it, so it shows what a font draws for a letter that it lacks
# Files of plain sans-serif fonts that come with Windows, macOS and Linux, by the writing that they are made for: the
# same Chinese character has other forms in Japan, China and Korea. Lower case, without the ending.
_PREFERRED = {
    "JP": (
        "yugothm",
        "yugothr",
        "meiryo",
        "hiragino sans w3",
        "ヒラギノ角ゴシック w3",
        "notosanscjkjp-regular",
        "notosansjp-regular",
        "ipagp",
        "msgothic",
    ),
    "KR": ("malgun", "applesdgothicneo", "notosanscjkkr-regular", "notosanskr-regular", "nanumgothic"),
    "SC": (
        "msyh",
        "pingfang",
        "hiragino sans gb",
        "notosanscjksc-regular",
        "notosanssc-regular",
        "wqy-microhei",
        "msjh",
    ),
    "": ("segoeui", "notosans-regular", "dejavusans", "arial", "helvetica"),
}
_FOR_ALL = ("notosanscjk-regular", "arial unicode", "droidsansfallback", "dejavusans")
_UNUSUAL = ("bold", "italic", "oblique", "serif", "mono", "light", "thin", "black", "condensed", "emoji")


@dataclass(frozen=True)
class FontFace:
    """One face of a font file; the path "" is the font that Pillow brings."""

    path: str
    index: int = 0

    def at(self, size_px: int) -> "FreeTypeFont":
        """Return the font at a size."""
        return _open(self.path, self.index, size_px)


@functools.lru_cache(maxsize=32)
def _open(path: str, index: int, size_px: int) -> "FreeTypeFont":
    from PIL import ImageFont

    if path:
        return ImageFont.truetype(path, size_px, index=index)
    # Pillow's wheels have FreeType; without it there would be no font of this class, and no other sheet either.
    return ImageFont.load_default(size_px)  # type: ignore[return-value]


def fonts_for(texts: Sequence[str]) -> list[FontFace]:
    """Return a font for each text: the same for all where one has all their letters.

    Raises:
        ValueError: no font of this computer has the letters of one of them.
    """
    together = _find_face(_letters("".join(texts)), _script("".join(texts)))
    if together is not None:
        return [together] * len(texts)
    faces = []
    for text in texts:
        face = _find_face(_letters(text), _script("".join(texts)))
        if face is None:
            raise ValueError(
                f'No font on the computer that runs ComfyUI has all the letters of "{text}". Install one for this script '
                '(on Debian and Ubuntu, "apt install fonts-noto" and "fonts-noto-cjk" have nearly all), or write it otherwise.'
            )
        faces.append(face)
    return faces


def _letters(text: str) -> str:
    """What a font must have to draw a text: each letter once, and the ellipsis; no spaces, marks and controls."""
    seen = {letter for letter in f"{text}…" if unicodedata.category(letter)[0] not in "ZCM"}
    return "".join(sorted(seen))


def _script(text: str) -> str:
    """Whose forms Chinese characters take: a text with kana is Japanese, with hangul Korean, else Chinese."""
    names = {unicodedata.name(letter, "").split(" ")[0] for letter in text}
    if names & {"HIRAGANA", "KATAKANA"}:
        return "JP"
    if "HANGUL" in names:
        return "KR"
    return "SC" if "CJK" in names else ""


@functools.lru_cache(maxsize=64)
def _find_face(letters: str, script: str) -> FontFace | None:
    own = FontFace("")
    if _has_letters(own, letters):
        return own
    for file in _font_files(script):
        for face in _faces(file, script):
            if _has_letters(face, letters):
                return face
    return None


def _has_letters(face: FontFace, letters: str) -> bool:
    try:
        font = face.at(_PROBE_PX)
        missing = _drawn(font, _NO_LETTER)
        return all(_drawn(font, letter) != missing for letter in letters)
    except (OSError, ValueError):  # a file that is none, or one in a form that FreeType cannot draw
        return False


def _drawn(font: "FreeTypeFont", letter: str) -> bytes:
    from PIL import Image, ImageDraw

    side = round(font.size * 2)
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).text((side // 4, side // 4), letter, fill=255, font=font)
    return image.tobytes()


def _faces(file: Path, script: str) -> list[FontFace]:
    """The faces of a file, in the order in which they suit the script."""
    faces = [FontFace(str(file))]
    if file.suffix.lower() in (".ttc", ".otc"):
        names = []
        try:
            while len(names) < 40:
                names.append(FontFace(str(file), len(names)).at(_PROBE_PX).getname()[0] or "")
        except OSError:  # behind the last one
            pass
        wanted = [i for i, name in enumerate(names) if script and name.split(" ")[-1] == script]
        others = [i for i in range(len(names)) if i not in wanted]
        faces = [FontFace(str(file), i) for i in [*wanted, *others]]
    return faces


def _font_files(script: str) -> list[Path]:
    """The system's font files: those made for the script first, plain ones before bold and slanted ones."""
    preferred = [*_PREFERRED[script], *_FOR_ALL]

    def rank(file: Path) -> tuple[int, int, str]:
        name = file.stem.lower()
        place = preferred.index(name) if name in preferred else len(preferred)
        return place, sum(word in name for word in _UNUSUAL), name

    return sorted(_listed(), key=rank)


@functools.cache
def _listed() -> tuple[Path, ...]:
    return tuple(file for file, _ in zip(_walk_fonts(), range(_MOST_FONTS), strict=False))


def _walk_fonts() -> Iterator[Path]:
    for folder in font_folders():
        for root, _, names in os.walk(folder):
            for name in sorted(names):
                if name.lower().endswith((".ttf", ".ttc", ".otf", ".otc")):
                    yield Path(root, name)


def font_folders() -> list[Path]:
    """Return the folders in which this system keeps its fonts, whether they exist or not."""
    home = Path.home()
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        return [
            Path(os.environ.get("WINDIR", r"C:\Windows"), "Fonts"),
            local / "Microsoft" / "Windows" / "Fonts",
        ]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = os.environ.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    return [Path(folder, "fonts") for folder in [*shared.split(":"), own] if folder] + [home / ".fonts"]
