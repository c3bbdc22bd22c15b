"""A client of a running ComfyUI, which does what its page does: queue a prompt, follow its progress, fetch results.

Requests use the standard library. Progress messages come over a websocket, which aiohttp (a requirement of ComfyUI)
reads in a separate thread, so that callers need no event loop.
"""

import asyncio
import json
import queue
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

Json = dict[str, Any]
Prompt = dict[str, Json]
OnEvent = Callable[[str, Json], None]

# Without the system's proxy, because the server runs on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PromptError(RuntimeError):
    """ComfyUI refused a prompt; the text names the nodes and inputs.

    Attributes:
        reasons: what is wrong with each input, in the words of its node.
    """

    def __init__(self, text: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.reasons = tuple(reasons)


class ExecutionError(RuntimeError):
    """A node failed while running.

    Attributes:
        node_id: id of the node in the prompt.
        node_type: the node's class_type.
    """

    def __init__(self, data: Json) -> None:
        self.node_id: str = str(data.get("node_id"))
        self.node_type: str = str(data.get("node_type"))
        message = str(data.get("exception_message")).strip()
        super().__init__(f"Node {self.node_id} ({self.node_type}) failed: {message}")


class CancelledRunError(RuntimeError):
    """The prompt was cancelled."""


class ComfyClient:
    """Client of the ComfyUI at `url`, such as "http://127.0.0.1:8188"."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def get(self, path: str, **query: str) -> bytes:
        """Send a GET request; return the body of the answer. Raises urllib.error.URLError."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}" if query else f"{self.url}{path}"
        with _OPENER.open(address, timeout=60) as response:
            return response.read()

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        """Send a POST request; return the body of the answer. Raises urllib.error.URLError."""
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": content_type})
        with _OPENER.open(request, timeout=60) as response:
            return response.read()

    def system_stats(self) -> Json:
        """Return versions, devices and memory; the server answers once it is ready."""
        return json.loads(self.get("/system_stats"))

    def object_info(self, node_type: str | None = None) -> Json:
        """Return the descriptions of all node types by id, or of one type; {} if there is no such type."""
        path = "/object_info" if node_type is None else f"/object_info/{urllib.parse.quote(node_type)}"
        return json.loads(self.get(path))

    def upload_image(self, data: bytes, name: str) -> str:
        """Upload a picture file to the server's input folder; return the name that LoadImage takes."""
        boundary = uuid.uuid4().hex
        header = f'Content-Disposition: form-data; name="image"; filename="{name}"\r\nContent-Type: image/png'
        flag = 'Content-Disposition: form-data; name="overwrite"\r\n\r\ntrue'
        body = (
            f"--{boundary}\r\n{header}\r\n\r\n".encode()
            + data
            + f"\r\n--{boundary}\r\n{flag}\r\n--{boundary}--\r\n".encode()
        )
        answer = json.loads(self.post("/upload/image", body, f"multipart/form-data; boundary={boundary}"))
        return "/".join(part for part in (answer["subfolder"], answer["name"]) if part)

    def view(self, file: Json) -> bytes:
        """Return the content of a result, which is named as in a history entry: {"filename", "subfolder", "type"}."""
        return self.get("/view", **{key: file[key] for key in ("filename", "subfolder", "type")})

    def download(self, file: Json, target: Path) -> Path:
        """Save a result (see `view`) as `target`, which appears only when it is whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".paintsundo_{uuid.uuid4().hex}")
        try:
            unfinished.write_bytes(self.view(file))
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return target

    def forget_history(self) -> None:
        """Let ComfyUI drop its records of finished prompts, each of which holds a whole workflow."""
        self.post("/history", b'{"clear": true}')

    def history(self, prompt_id: str) -> Json:
        """Return the record of a finished prompt, with "outputs" by node id and "status"; {} while it is not finished."""
        return json.loads(self.get(f"/history/{prompt_id}")).get(prompt_id, {})

    def interrupt(self) -> None:
        """Cancel the running prompt."""
        self.post("/interrupt", b"{}")

    def queue(self, prompt: Prompt, workflow: Json | None = None, client_id: str | None = None) -> str:
        """Queue a prompt in API format; return its id.

        Args:
            prompt: nodes by id, each {"class_type", "inputs"}.
            workflow: the page's graph of this prompt, which save nodes embed in their files.
            client_id: id of the client that gets the messages; see `events`.

        Raises:
            PromptError: a node or an input is unknown, missing or out of range. ComfyUI would run what does not need that
                node, without the results that do; here nothing runs.
        """
        body: Json = {"prompt": prompt, "client_id": client_id or uuid.uuid4().hex}
        if workflow is not None:
            body["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        try:
            answer = json.loads(self.post("/prompt", json.dumps(body).encode()))
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            raise _refusal(json.loads(error.read())) from None
        if answer.get("node_errors"):
            self._withdraw(answer["prompt_id"])
            raise _refusal(answer)
        return answer["prompt_id"]

    def _withdraw(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or cancel it if it is running already."""
        self.post("/queue", json.dumps({"delete": [prompt_id]}).encode())
        self.post("/interrupt", json.dumps({"prompt_id": prompt_id}).encode())

    def events(self) -> "EventStream":
        """Open the stream of messages; use as a context manager, and pass its `client_id` to `queue`."""
        return EventStream(self.url)

    def run(self, prompt: Prompt, workflow: Json | None = None, on_event: OnEvent | None = None) -> Json:
        """Queue a prompt, wait until it is done and return its outputs by node id.

        Args:
            prompt: see `queue`.
            workflow: see `queue`.
            on_event: called with the kind and data of every message about this prompt, such as "executing" with
                {"node"} and "progress" with {"node", "value", "max"}.

        Raises:
            PromptError: see `queue`.
            ExecutionError: a node failed.
            CancelledRunError: the prompt was cancelled.
            ConnectionError: the server went away.
        """
        with self.events() as events:
            prompt_id = self.queue(prompt, workflow, events.client_id)
            while True:
                kind, data = events.next()
                if data.get("prompt_id", prompt_id) != prompt_id:
                    continue
                if on_event:
                    on_event(kind, data)
                if kind == "execution_error":
                    raise ExecutionError(data)
                if kind == "execution_interrupted":
                    raise CancelledRunError("The run was cancelled.")
                # This is the last message of a prompt; the server sends it when it has written the history.
                if kind == "executing" and data.get("node") is None:
                    return self.history(prompt_id)["outputs"]


class EventStream:
    """Context manager that receives the server's messages to the client `client_id`, in order."""

    def __init__(self, url: str) -> None:
        self.client_id = uuid.uuid4().hex
        self._address = f"{url}/ws?clientId={self.client_id}"
        self._messages: queue.Queue[tuple[str, Json] | Exception | None] = queue.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._read_in_thread, daemon=True)

    def __enter__(self) -> "EventStream":
        self._thread.start()
        first = self._messages.get()  # None when the connection is made
        if isinstance(first, Exception):
            raise first
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop and self._stop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def next(self, timeout: float | None = None) -> tuple[str, Json]:
        """Return kind and data of the next message.

        Raises:
            ConnectionError: the server went away.
            TimeoutError: no message for `timeout` seconds.
        """
        waited = 0.0
        while timeout is None or waited < timeout:
            try:
                message = self._messages.get(
                    timeout=0.5
                )  # a short wait, because on Windows Ctrl-C takes effect only after it
            except queue.Empty:
                waited += 0.5
                continue
            if isinstance(message, Exception):
                raise message
            if message is not None:
                return message
        raise TimeoutError(f"No message from ComfyUI for {timeout} s.")

    def _read_in_thread(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        import aiohttp

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(self._address, max_msg_size=0) as socket,
            ):
                self._messages.put(None)
                while True:
                    received = asyncio.ensure_future(socket.receive())
                    await asyncio.wait({received, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    if stopped.done():
                        received.cancel()
                        return
                    message = received.result()
                    if message.type == aiohttp.WSMsgType.TEXT:
                        content = json.loads(message.data)
                        self._messages.put((content["type"], content["data"]))
                    elif message.type != aiohttp.WSMsgType.BINARY:  # binary: preview pictures
                        break
        except aiohttp.ClientError as error:
            self._messages.put(ConnectionError(f"ComfyUI cannot be reached: {error}"))
        else:
            self._messages.put(ConnectionError("ComfyUI ended the connection: it has stopped or crashed."))
        finally:
            stopped.cancel()


def _refusal(answer: Json) -> PromptError:
    error = answer.get("error") or {"message": "A part of it cannot run."}
    lines = [
        f"ComfyUI refused the workflow: {error.get('message', error)} {error.get('details', '')}".rstrip()
    ]
    reasons = []
    for node_id, node in answer.get("node_errors", {}).items():
        for problem in node["errors"]:
            lines.append(
                f"  node {node_id} ({node['class_type']}): {problem['message']}: {problem['details']}"
            )
            # ComfyUI puts the input's name before what the node says.
            name = problem.get("extra_info", {}).get("input_name", "")
            reasons.append(problem["details"].removeprefix(f"{name} - "))
    return PromptError("\n".join(lines), reasons)
