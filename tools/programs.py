"""The programs outside Python that some tests need."""

import shutil

# Program -> names it goes by; the first is also Debian's.
NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "ffprobe": ("ffprobe",),
}
# Debian's package that brings the program.
PACKAGES = {"chromium": "chromium", "ffprobe": "ffmpeg"}


def find_program(program: str) -> str | None:
    """Path of a program in NAMES, or None where it is not installed."""
    return next((path for path in map(shutil.which, NAMES[program]) if path), None)
