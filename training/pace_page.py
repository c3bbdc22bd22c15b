"""The page about the pace of videos, with its tables."""

from pathlib import Path

from paintsundo_models.planning import PROBE_STEPS
from paintsundo_models.video.pace import COPY_SIDE_PX
from tools.markdown import table

from .evaluation import figure_table, mean
from .pace_run import AS_MADE_FPS, COUNT, SECONDS
from .pace_scores import SEEN, Results, spread

COMMAND = "python training/evaluate_pace.py"


def tables(results: Results) -> str:
    """Return the tables of plans and of videos."""
    plans = [
        (name, f"{mean(values):.2f}", f"{min(values):.2f} to {max(values):.2f}")
        for name, values in results.plans.items()
    ]
    videos = [
        (
            name,
            f"{mean(spread(video.seconds) for video in scores):.2f}",
            f"{mean(video.first_quarter for video in scores):.0%} (lowest {min(v.first_quarter for v in scores):.0%})",
            f"{mean(video.still for video in scores):.2f} s (longest {max(v.still for v in scores):.2f} s)",
        )
        for name, scores in results.videos.items()
    ]
    one = table(("Plan", "Spread of the change in a segment", "Lowest and highest"), plans)
    head = (
        "Video",
        "Spread of the change in a second",
        "Change in the first quarter",
        "Without visible change",
    )
    return f"{one}\n\n{table(head, videos)}"


def write(results: Results, output: Path) -> Path:
    """Write pace.md into a folder; return the page."""
    page = output / "pace.md"
    page.write_text(page_text(results), encoding="utf-8")
    return page


def page_text(results: Results) -> str:
    """Return the page in Markdown."""
    missed = sum(not figure.is_met for figure in results.figures)
    verdict = "All bars are met." if not missed else f"{missed} of {len(results.figures)} bars missed."
    steps = "; ".join(", ".join(map(str, plan)) for plan in results.steps)
    return f"""# How evenly a video changes

*Plan Operation Steps* with equal change, and *Assemble Painting Video* with the pace equal change, measured on {results.pictures} held-out pictures of the procedural painter, whose true states are known. {verdict}

{figure_table(results.figures)}

This page is written by one command, which ends with exit code 1 when a bar is missed:

```
{COMMAND}
```

## Plans and videos

{tables(results)}

- **Plan**: {COUNT} keyframes, {COUNT + 1} segments. The node paints its rough keyframes at the steps {", ".join(map(str, PROBE_STEPS))} with the demo. It planned: {steps}.
- **Change in a segment**: the mean absolute differences of true states that follow each other, blurred (Gaussian, sigma 1.5 pixels) and added up over the segment. The spread is the standard deviation divided by the mean; 0 would be the same change in every segment.
- **Video**: the segments are the true states, as a perfect model would make them. As made: {AS_MADE_FPS} frames a second. Paced: {SECONDS} seconds. All without holds.
- **Visible change**: some place of a copy of {COPY_SIDE_PX} pixels differs by more than {SEEN * 255:.0f} of 255. The time is the longest from any frame to the next one that differs visibly, between the first stroke and the finish.
"""
