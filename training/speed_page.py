"""The page about sampling settings: what each costs in time and in error."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.markdown import table

from .speed_run import CHOSEN, REFERENCES, SETTINGS
from .speed_scores import (
    DECIDING,
    KEYFRAMES,
    SEGMENTS,
    Run,
    Setting,
    cheapest,
    compare,
    costs_nothing,
    of_setting,
    seconds_of,
)

COMMAND = "python training/evaluate_speed.py"
SCORES = {
    KEYFRAMES: {"middle": "Error", "canvas": "Canvas", "finished": "Step 0, dB lost"},
    SEGMENTS: {"between": "Error between", "ends": "Error at the ends"},
}


def kind_table(runs: Sequence[Run], kind: str) -> str:
    """Return the table of one model: a line for each setting that was measured."""
    fast = REFERENCES[kind][1]
    rows = []
    for setting in (s for s in SETTINGS if s.kind == kind and of_setting(runs, s)):
        own = of_setting(runs, setting)
        cells = [setting.sampler, str(setting.steps), setting.guidance, str(len(own))]
        for name in SCORES[kind]:
            mean = float(np.mean([run.scores[name] for run in own]))
            difference = compare(runs, setting, fast, name)
            beside = f" ({difference.mean:+.4f} ± {difference.standard_error:.4f})" if setting != fast else ""
            cells.append(f"{mean:.4f}{beside}")
        cells += [f"{seconds_of(runs, setting):.1f}", _verdict(runs, setting)]
        rows.append((setting.steps, setting.sampler, cells))
    head = ("Sampler", "Steps", "Guidance", "Runs", *SCORES[kind].values(), "Processor s", "Costs nothing")
    return table(head, [cells for *_, cells in sorted(rows)])


def _verdict(runs: Sequence[Run], setting: Setting) -> str:
    if setting in REFERENCES[setting.kind]:
        return "(compared with)"
    text = "yes" if costs_nothing(runs, setting, REFERENCES[setting.kind]) else "no"
    return f"{text}, the demo's" if setting == CHOSEN[setting.kind] else text


def tables(runs: Sequence[Run]) -> str:
    """Return both tables with their headings, and the cheapest setting of each."""
    parts = []
    for kind in (KEYFRAMES, SEGMENTS):
        best = cheapest(runs, [s for s in SETTINGS if s.kind == kind], REFERENCES[kind])
        said = f"The cheapest that costs nothing: {best.name.partition(': ')[2]}." if best else ""
        parts.append(f"## {kind.capitalize()}\n\n{kind_table(runs, kind)}\n\n{said}")
    return "\n\n".join(parts)


def write(runs: Sequence[Run], output: Path) -> Path:
    """Write speed.md into a folder; return the page."""
    page = output / "speed.md"
    page.write_text(page_text(runs), encoding="utf-8")
    return page


def page_text(runs: Sequence[Run]) -> str:
    """Return the page in Markdown."""
    pictures, seeds = ({getattr(run, name) for run in runs} for name in ("picture", "seed"))
    deciding = "; ".join(
        f"for {kind} {' and '.join(SCORES[kind][name] for name in names)}" for kind, names in DECIDING.items()
    )
    return f"""# What fewer steps cost the demo

Sampling settings of both demo models, measured against true states on {len(pictures)} pictures that they were not trained on, with {len(seeds)} {"seed" if len(seeds) == 1 else "seeds"}. The time is the processor's, on one thread. The column *Runs* counts pictures times seeds; a measurement that was broken off has fewer of some settings.

```
{COMMAND}
```

writes this page. It keeps every run in a file, so that after an interruption the same command goes on.

The rule: a setting costs nothing if its mean error is at most one standard error above that of the fast workflow and that of the nodes' defaults where those were measured, on the same pictures and seeds ({deciding}). In brackets: the mean difference from the fast workflow's, and its standard error from picture to picture, seeds averaged first.

{tables(runs)}

- **Error** of keyframes: the mean absolute difference from the true states at the steps 200, 400, 600 and 800, in [0, 1], blurred as in [demo.md](demo.md). **Canvas**: how far the keyframe at step 999 is from white. **Step 0, dB lost**: 40 dB minus the PSNR of the keyframe at step 0; it does not count, because a video shows the finished picture itself there.
- **Error between** of segments: the mean absolute difference of the latents of the 14 frames between the ends from those of the true states, in units of their standard deviation. Latents are compared because decoding a segment takes longer than sampling it. **Error at the ends**: the same for the first and the last frame; it does not count, because the decoder gets both pictures themselves.
- The demo takes {CHOSEN[KEYFRAMES].steps} steps for keyframes and {CHOSEN[SEGMENTS].steps} for segments. Four keyframe steps cost nothing by the rule either, but save half a second of a video and were measured with one seed only.
- A sampler that is nearer to the true states with fewer steps leaves out what the model is unsure of. With the demo, euler's pictures are as sharp as the other's; the lines of its first sketch are a little paler.
- The pictures have the smallest of the training's sizes, because a run with them takes least time. Segments lie between two true states; the pairs of the default chain take turns.
- These are the demo's models, on drawings of a program. The figures say nothing of the released models.
"""
