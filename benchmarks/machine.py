"""This machine: its device in words, and processor time and memory of any of its processes."""

import platform
import re
from datetime import date
from pathlib import Path


def device() -> str:
    """Return a line about the device, the versions of torch and Python, and the date."""
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        name = f"{torch.cuda.get_device_name(0)} ({memory:.0f} GB)"
    else:
        name = f"{_processor()}, {torch.get_num_threads()} threads, no GPU"
    return (
        f"{name}, torch {torch.__version__}, Python {platform.python_version()}, {date.today().isoformat()}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, of the program and of the system for it, all threads together."""
    import psutil

    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def peak_bytes(pid: int) -> int | None:
    """Return the largest resident memory of a process so far; None on systems other than Linux."""
    try:
        return status_bytes("VmHWM", pid)
    except FileNotFoundError:
        return None


def status_bytes(field: str, pid: int | str = "self") -> int:
    """Return a field of /proc/PID/status (proc(5)) in bytes.

    Raises:
        FileNotFoundError: the system has no such file.
        OSError: the file has no such field.
    """
    status = Path(f"/proc/{pid}/status")
    found = re.search(rf"^{field}:\s+(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise OSError(f"{status} has no {field}")
    return int(found[1]) * 1024
