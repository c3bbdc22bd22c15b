"""`paint.py --serve`: a ComfyUI with the pack for use by hand."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools.comfy_client import ComfyClient
from tools.server import free_port

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"ComfyUI with PaintsUndo is at (http://\S+)")
SECONDS = 300


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_serve_says_where_it_is_and_ends_with_ctrl_c(installation):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, ROOT / "paint.py", "--serve", "--cpu", "--port", str(port)],
        env={
            **os.environ,
            "COMFYUI_PATH": str(installation.comfyui),
            "COMFYUI_PYTHON": str(installation.python),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout
        said = ""
        while "Ctrl-C ends it." not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        address = ADDRESS.search(said)
        assert address, said
        assert address[1].endswith(f":{port}")
        assert "PaintsUndoAssembleVideo" in ComfyClient(address[1]).object_info()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "\nEnding ComfyUI.\n"
        assert process.wait() == 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    with pytest.raises(OSError, match="refused"):
        ComfyClient(address[1]).object_info()
