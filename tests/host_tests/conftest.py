"""Make tools/ importable; the clone itself must not be on sys.path (tests/conftest.py says why)."""

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "tools", Path(__file__).resolve().parents[2] / "tools" / "__init__.py"
)
sys.modules["tools"] = importlib.util.module_from_spec(_spec)
