"""The programs and system libraries outside Python that some tests need."""

import shutil
from ctypes.util import find_library

# Program -> names it goes by; the first is also Debian's.
NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "ffprobe": ("ffprobe",),
    "exiftool": ("exiftool",),
}
# Debian's package that brings the program.
PACKAGES = {"chromium": "chromium", "ffprobe": "ffmpeg", "exiftool": "libimage-exiftool-perl"}
# What the drawing library of training/ links to on Linux, and Debian's packages of it.
LIBRARIES = {"EGL": "libegl1", "GL": "libgl1", "expat": "libexpat1"}


def find_program(program: str) -> str | None:
    """Return the path of a program in NAMES, or None if it is not installed."""
    return next((path for path in map(shutil.which, NAMES[program]) if path), None)


def missing_libraries() -> list[str]:
    """Return Debian's packages of those LIBRARIES that are not installed."""
    return [package for library, package in LIBRARIES.items() if not find_library(library)]
