"""The texts in a saved file from which the page opens its graph again; nothing in them can prevent the video from being saved."""

import json
import logging
import re
from collections.abc import Mapping

LONGEST_NAME = 79
"""Letters; the limit of a PNG's text chunks."""

log = logging.getLogger(__name__)


def metadata_texts(prompt: object | None, extra_pnginfo: object | None) -> dict[str, str]:
    """Return the workflow (and what else the page sends) and the prompt as JSON texts under the names it looks for.

    The texts are ASCII. Braces inside strings are written as escapes: the page finds the end of the JSON in a WebM
    by counting braces, and an odd one in somebody's prompt would hide the workflow. NaN, which JSON lacks, is null.

    Other nodes and programs may put anything into `extra_pnginfo`. What cannot be stored is left out, with a warning.
    """
    extra = extra_pnginfo if isinstance(extra_pnginfo, Mapping) else {}
    if extra_pnginfo is not None and not isinstance(extra_pnginfo, Mapping):
        log.warning(
            "PaintsUndo: the page sent no table of texts to store (extra_pnginfo), so none are stored."
        )
    texts = {}
    for name, value in {**extra, **({"prompt": prompt} if prompt else {})}.items():
        if not isinstance(name, str) or not re.fullmatch(rf"[ -~]{{1,{LONGEST_NAME}}}", name):
            log.warning("PaintsUndo: a text with the name %.100r is not stored in the file.", name)
            continue
        try:
            texts[name] = _json_text(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            log.warning(
                "PaintsUndo: %s cannot be written as JSON, and is not stored in the file: %s", name, error
            )
    return texts


def _json_text(value: object) -> str:
    plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
    strings = r'"(?:[^"\\]|\\.)*"'
    return re.sub(strings, lambda s: s[0].replace("{", r"\u007b").replace("}", r"\u007d"), json.dumps(plain))
