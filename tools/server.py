"""Start a ComfyUI with this pack installed, wait until it answers, and end it."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from .comfy_client import ComfyClient
from .command import CommandError
from .installation import Installation, has_accelerator
from .pinned_comfyui import tail

LAUNCHER = Path(__file__).with_name("launch_comfyui.py")
DATA_FOLDERS = ("models", "input", "output", "user", "custom_nodes")
NOT_COPIED = (".git", ".host", "output", "__pycache__", ".pytest_cache", ".ruff_cache")
SECONDS_TO_START = 300  # the first start on a slow disk takes long, because Python compiles every module
SECONDS_TO_END = 15
LOGS_KEPT = 10
LONGEST_LOG = 10_000_000  # bytes, of a server that paints one picture after the other
KEPT_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
"""Environment of a ComfyUI that paints on a processor: glibc keeps memory that torch frees, and does not give it back to
the system, which would clear it anew for the next tensor. That is a quarter of the time of decoding."""


class ComfyServer:
    """A ComfyUI with the pack, which runs for the duration of a `with` block.

    Args:
        installation: the ComfyUI, and the Python that runs it.
        pack: the folder of the pack.
        work: a folder for the log and for ComfyUI's temporary files.
        base_directory: a folder for models, input, output and so on; created if it does not exist. None uses the folders
            of the installation, and makes the pack known to it without writing into them.
        pack_folder: name of the pack in custom_nodes, if it is not there already.
        port: of the server; 0 for a free one.
        use_cpu: use the CPU even if there is a GPU.
        only_pack: do not load the other custom nodes of the installation.
        apart_with: not None: the pack, further folders of custom nodes (these), input and output lie in a temporary folder
            of this server, which vanishes with it. So servers of different copies of the pack can run side by side.
        extra_args: further arguments for ComfyUI's main.py.

    Attributes:
        environment: variables that the server gets besides those of this process; set them before the block.
    """

    def __init__(
        self,
        installation: Installation,
        pack: Path,
        work: Path,
        *,
        base_directory: Path | None = None,
        pack_folder: str = "comfyui-paintsundo",
        port: int = 0,
        use_cpu: bool = False,
        only_pack: bool = False,
        apart_with: Sequence[Path] | None = None,
        extra_args: Sequence[str] = (),
    ) -> None:
        self.installation, self.pack, self.work = installation, pack, work
        self.base_directory, self.pack_folder = base_directory, pack_folder
        self.port = port or free_port()
        self.use_cpu, self.only_pack, self.extra_args = use_cpu, only_pack, tuple(extra_args)
        self.is_apart, self._more_nodes = apart_with is not None, tuple(apart_with or ())
        self.environment: dict[str, str] = {}
        self.log = work / f"comfyui-{self.port}.log"
        self._scratch = work / f"server-{self.port}"
        self.client = ComfyClient(f"http://127.0.0.1:{self.port}")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address of ComfyUI's page."""
        return self.client.url

    @property
    def is_running(self) -> bool:
        """Return whether the server's process is running."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "ComfyServer":
        if not _is_free(self.port):
            raise CommandError(
                f"Port {self.port} is in use (by another ComfyUI, perhaps). Choose another with --port."
            )
        self.work.mkdir(parents=True, exist_ok=True)
        for old in sorted(self.work.glob("comfyui-*.log"), key=lambda log: log.stat().st_mtime)[:-LOGS_KEPT]:
            old.unlink(missing_ok=True)
        command = self._command()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **self.environment}
        if self.only_pack and "--cpu" in command:
            environment = {**KEPT_MEMORY, **environment}
        self.log.unlink(missing_ok=True)
        with self.log.open("ab") as log:  # appending, so that the file can be cut while ComfyUI writes
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                # Keep Ctrl-C in the terminal from reaching the server; the command receives it and ends the server.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server; wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()  # the launcher ends ComfyUI when its input closes
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """Return the folder "input" or "output" of a server that runs apart."""
        return self._scratch / name

    def empty(self) -> None:
        """Remove what a server that runs apart has taken in and put out, and keep its log short."""
        for name in ("input", "output"):
            for entry in self.folder(name).iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
        if self.log.stat().st_size > LONGEST_LOG:
            os.truncate(self.log, 0)

    @property
    def pid(self) -> int:
        """Return the process id of the running server."""
        return self._running().pid

    def kill(self) -> None:
        """Kill the server as the system does when memory runs out: without a chance to clear anything away."""
        process = self._running()
        process.kill()
        process.wait()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("The server is not running: use it in a with block.")
        return self._process

    def wait(self) -> int:
        """Wait until the server ends by itself; return its exit code."""
        process = self._running()
        while (code := process.poll()) is None:
            time.sleep(0.5)  # not process.wait(), which Ctrl-C cannot end on Windows
        return code

    def _command(self) -> list[str]:
        arguments = ["--port", str(self.port), "--disable-auto-launch"]
        # Keep the database in memory, because the file in ComfyUI's folder may be locked by another running ComfyUI.
        arguments += ["--database-url", "sqlite:///:memory:"]
        # Use a separate temp folder, because ComfyUI empties it at the start and another one may be using it.
        arguments += ["--temp-directory", str(self._scratch)]
        if self.use_cpu or not has_accelerator(self.installation.python):
            # On a CPU, ComfyUI's default (sub-quadratic attention) is many times slower than torch's attention.
            arguments += ["--cpu", "--use-pytorch-cross-attention"]
        if self.base_directory is not None:
            for name in DATA_FOLDERS:
                (self.base_directory / name).mkdir(parents=True, exist_ok=True)
            arguments += ["--base-directory", str(self.base_directory)]
        if self.is_apart:
            for name in ("input", "output"):
                (self._scratch / name).mkdir(parents=True, exist_ok=True)
                arguments += [f"--{name}-directory", str(self._scratch / name)]
        names = [self._place_pack(), *(folder.name for folder in self._more_nodes)]
        if self.only_pack:
            arguments += ["--disable-all-custom-nodes", "--whitelist-custom-nodes", *names]
            if has_option(self.installation.comfyui, "--disable-api-nodes"):
                arguments.append("--disable-api-nodes")
        if (self._scratch / "custom_nodes").is_dir():
            config = self._scratch / "extra_model_paths.yaml"
            paths = {"paintsundo": {"custom_nodes": str(self._scratch / "custom_nodes")}}
            config.write_text(json.dumps(paths), encoding="utf-8")  # JSON is YAML too
            arguments += ["--extra-model-paths-config", str(config)]
        main_py = self.installation.comfyui / "main.py"
        return [str(self.installation.python), str(LAUNCHER), str(main_py), *arguments, *self.extra_args]

    def _place_pack(self) -> str:
        """Make the pack, and the folders beside it, known to ComfyUI; return the pack's name there."""
        own = self._scratch / "custom_nodes"
        shutil.rmtree(own, ignore_errors=True)  # of a killed server that had this port
        for folder in self._more_nodes:
            place_pack(folder, own / folder.name)
        if self.is_apart:
            # A name of its own, because custom_nodes may hold another copy of the pack.
            name = f"{self.pack_folder}-{self.port}"
        elif self.base_directory is not None:
            place_pack(self.pack, self.base_directory / "custom_nodes" / self.pack_folder)
            return self.pack_folder
        elif (installed := installed_name(self.pack, self.installation.comfyui)) is not None:
            return installed
        else:
            name = self.pack_folder
        place_pack(self.pack, own / name)
        return name

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            if not self.is_running:
                raise CommandError(
                    f"ComfyUI ended while starting:\n{tail(self.log, 25)}\nIts log is {self.log}"
                )
            try:
                self.client.system_stats()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise CommandError(
            f"ComfyUI did not answer within {SECONDS_TO_START} s:\n{tail(self.log, 25)}\nIts log is {self.log}"
        )


def has_option(comfyui: Path, option: str) -> bool:
    """Tell whether a ComfyUI knows an option of its command line."""
    options = comfyui / "comfy" / "cli_args.py"
    return options.is_file() and f'"{option}"' in options.read_text(encoding="utf-8", errors="replace")


def installed_name(pack: Path, comfyui: Path) -> str | None:
    """Return the name of the pack's folder in ComfyUI's custom_nodes, or None if it is not there."""
    custom_nodes = comfyui / "custom_nodes"
    if custom_nodes.is_dir():
        for folder in custom_nodes.iterdir():
            if folder.resolve() == pack.resolve():
                return folder.name
    return None


def place_pack(pack: Path, target: Path) -> None:
    """Make the pack available at `target`: as a link, or as a new copy if the system allows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        if target.resolve() == pack.resolve():
            return
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
    try:
        target.symlink_to(pack.resolve(), target_is_directory=True)
    except OSError:  # Windows without developer mode
        shutil.copytree(pack, target, ignore=shutil.ignore_patterns(*NOT_COPIED))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # on Windows this option would let two programs use one port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that no program is using."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
