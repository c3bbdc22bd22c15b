"""The place of a torture run: a folder with models, input and output, the ComfyUI server on it, and a short chain."""

import contextlib
import hashlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.comfy_client import Json, Prompt
from tools.installation import Installation
from tools.painting import INTERPOLATE, KEYFRAMES, MULTI_LOADER, PAIRS, SINGLE_LOADER, VIDEO
from tools.pictures import load_picture, png_bytes, read_frames
from tools.server import ComfyServer
from tools.workflow import Workflow, template

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "pictures" / "house.png"
SIDE = 64  # pixels
SINGLE, MULTI = "own_single.safetensors", "own_multi.safetensors"
SECONDS_OF_A_PROMPT = 300  # longer than that is a hang
UNREACHABLE = "http://127.0.0.1:9"  # where the download node looks for the hub, so that nothing is downloaded


class Bench:
    """What the kinds of torture share.

    Args:
        installation: the ComfyUI.
        folder: for everything that the run makes; it must not exist.
        seed: of every random choice.
        say: called with a line of text.
    """

    def __init__(
        self, installation: Installation, folder: Path, seed: int, say: Callable[[str], None]
    ) -> None:
        self.installation, self.base, self.seed, self.say = installation, folder, seed, say
        self._server: ComfyServer | None = None
        self._object_info: Json = {}
        self.temporary = folder / "tmp"
        self._environment = {
            "HF_ENDPOINT": UNREACHABLE,
            "TMPDIR": str(self.temporary),
            "TEMP": str(self.temporary),
        }
        self.models = folder / "models" / "paintsundo"
        self.output, self.segments = folder / "output", folder / "user" / "__paintsundo" / "segments"
        self.models.mkdir(parents=True)
        demo = ROOT / "paintsundo_models" / "demo"
        for name, stem in ((SINGLE, "single-frame"), (MULTI, "multi-frame")):
            shutil.copyfile(demo / f"{stem}.safetensors", self.models / name)
            configs = (self.models / name).with_suffix(".configs.json")
            shutil.copyfile(demo / f"{stem}.configs.json", configs)
        (folder / "custom_nodes").mkdir()
        shutil.copyfile(
            Path(__file__).with_name("strange_values.py"), folder / "custom_nodes" / "strange_values.py"
        )
        self.temporary.mkdir()
        self.output.mkdir()
        (self.output / "blocked").write_text("a file where prompts want a folder")
        (folder / "input").mkdir()
        (folder / "input" / "picture.png").write_bytes(png_bytes(load_picture(PICTURE, SIDE)))

    def random_of(self, kind: str) -> random.Random:
        """Return the random numbers of a kind, the same whichever kinds run before it."""
        return random.Random(f"{self.seed} {kind}")

    @property
    def server(self) -> ComfyServer:
        """The server that all kinds share; started if none is running."""
        if self._server is None or not self.is_running:
            self.close()
            self._server = self._new_server()
            self._server.__enter__()
        return self._server

    @contextlib.contextmanager
    def uses(self, **environment: str) -> Iterator[None]:
        """Give these environment variables to the servers that are started within the block."""
        self.close()
        self._environment.update(environment)
        try:
            yield
        finally:
            self.close()
            for name in environment:
                del self._environment[name]

    def _new_server(self) -> ComfyServer:
        server = ComfyServer(
            self.installation, ROOT, self.base / "run", base_directory=self.base, use_cpu=True
        )
        server.environment |= self._environment
        return server

    @property
    def is_running(self) -> bool:
        """Return whether the server is running; `server` would start it."""
        return self._server is not None and self._server.is_running

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def object_info(self) -> Json:
        """The descriptions of all nodes as they were at the first start."""
        self._object_info = self._object_info or self.server.client.object_info()
        return self._object_info

    def chain(self, **widgets: object) -> Prompt:
        """Return the demo's workflow at a size that takes seconds: one keyframe, two segments, a PNG sequence.

        Args:
            **widgets: of the nodes that make segments and the video, with other values than here; `seed` is that of
                the first segment, `width`, `height` and `operation_steps` are those of the keyframes.
        """
        workflow = Workflow.load(ROOT / template("demo"), self.object_info)
        values: list[tuple[str, str, object]] = [
            ("LoadImage", "image", "picture.png"),
            (SINGLE_LOADER, "checkpoint", SINGLE),
            (MULTI_LOADER, "checkpoint", MULTI),
            (KEYFRAMES, "steps", 1),
            (KEYFRAMES, "operation_steps", "999"),
            (KEYFRAMES, "width", SIDE),
            (KEYFRAMES, "height", SIDE),
            (INTERPOLATE, "steps", 2),
            (INTERPOLATE, "cfg", 1.0),
            (INTERPOLATE, "resolution", "size of the pictures"),
            (INTERPOLATE, "reuse", False),
            (VIDEO, "hold_last", 0.0),
            (VIDEO, "format", "png sequence"),
        ]
        for name, value in widgets.items():
            owners = {"seed": PAIRS, **dict.fromkeys(("width", "height", "operation_steps"), KEYFRAMES)}
            own = INTERPOLATE if name in self._names(INTERPOLATE) else VIDEO
            values.append((owners.get(name, own), name, value))
        for node_type, name, value in values:
            workflow.set_widget(node_type, name, value)
        return workflow.to_prompt()

    def _names(self, node_type: str) -> set[str]:
        inputs = self.object_info[node_type]["input"]
        return {*inputs["required"], *inputs.get("optional", {})}

    def finish(self, prompt: Prompt, seconds: float = SECONDS_OF_A_PROMPT) -> Json:
        """Queue a prompt and return its entry of the history when it is done.

        Raises:
            PromptError: it is refused.
            TimeoutError: it hangs.
            OSError: the server has ended.
        """
        client = self.server.client
        prompt_id = client.queue(prompt)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if entry := client.history(prompt_id):
                    return entry
            except OSError:  # a server without memory cannot answer, and goes on with the prompt
                if not self.is_running:
                    raise
            time.sleep(0.02)
        client.interrupt()
        raise TimeoutError(f"not done after {seconds:.0f} s")

    def result(self, prompt: Prompt) -> str:
        """Run a prompt and return a digest of the frames that its video node has saved.

        Raises:
            RuntimeError: it failed; the message is what the user reads.
        """
        entry = self.finish(prompt)
        if message := error_of(entry):
            raise RuntimeError(message)
        return self.digest(prompt, entry)

    def digest(self, prompt: Prompt, entry: Json) -> str:
        """Return a digest of the frames of a finished prompt."""
        digest = hashlib.sha256()
        for frame in self.frames(prompt, entry):
            digest.update(frame)
        return digest.hexdigest()

    def frames(self, prompt: Prompt, entry: Json) -> list[bytes]:
        """Return the pixels of each frame that the video node of a finished prompt has saved."""
        (key,) = (key for key, node in prompt.items() if node["class_type"] == VIDEO)
        files = [
            self.output / file["subfolder"] / file["filename"] for file in entry["outputs"][key]["images"]
        ]
        return [image.convert("RGB").tobytes() for _, image in read_frames(files)]

    def forget(self) -> None:
        """Make the server forget all results, so that the next prompt runs from the beginning; models stay loaded."""
        self.server.client.post("/free", b'{"free_memory": true}')

    def processor_time(self) -> float:
        """Return the seconds that the server's process has worked so far, which other programs do not lengthen."""
        import psutil  # one of ComfyUI's requirements

        times = psutil.Process(self.server.pid).cpu_times()
        return times.user + times.system

    def leftovers(self) -> list[str]:
        """Return the unfinished folders and files that the pack has left in its folders."""
        return [
            path.relative_to(self.base).as_posix()
            for folder in (self.output, self.base / "run", self.segments)
            for path in folder.rglob("*")
            if path.name.startswith(".paintsundo_") or path.suffix == ".unfinished"
        ]


def error_of(entry: Json) -> str | None:
    """Return the message of a failed prompt, "cancelled" for a cancelled one, or None for one that ended well."""
    for kind, data in entry["status"]["messages"]:
        if kind == "execution_error":
            return str(data["exception_message"]).strip()
        if kind == "execution_interrupted":
            return "cancelled"
    return None
