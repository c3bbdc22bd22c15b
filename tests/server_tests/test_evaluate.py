"""The evaluation's command measures the settings of the bundled workflows through a running server."""

from training import evaluate, evaluation_page, evaluation_run
from training.evaluation_command import DEMO, FAST, NODES


def test_settings_are_those_of_the_workflows_and_of_the_nodes(server):
    evaluator = evaluation_run.Evaluator(server.client, *2 * [evaluate.arguments([]).single])
    demo, fast, nodes = map(evaluator.settings, (DEMO, FAST, NODES))
    assert (demo.keyframes["steps"], demo.keyframes["sampler_name"]) == (6, "euler")
    assert (demo.segments["steps"], demo.segments["cfg"], demo.segments["fade_below"]) == (4, 1, 1)
    assert demo.guidance is None
    assert (fast.segments["steps"], fast.segments["fade_below"]) == (16, 0)
    assert fast.guidance == {"rescale": 0.7, "start": 0, "end": 0.5}
    assert evaluator.in_words(NODES, nodes).endswith("(50 sampling steps for keyframes, 50 for segments)")
    assert evaluator.settings(NODES, 2).keyframes == {"steps": 2}


def test_page_of_one_picture_and_one_segment(server, tmp_path):
    options = evaluate.arguments(
        ["--pictures", "1", "--segments", "1", "--compared", "0", "--steps", "2", "--output", str(tmp_path)]
    )
    evaluator = evaluation_run.Evaluator(server.client, options.single, options.multi)
    results = evaluation_run.measure(
        evaluator, evaluation_run.held_out_pictures(1), options, evaluate.command_line(options)
    )
    assert results.keyframes[0].finished_psnr > 15
    assert results.segments[0].first_psnr > 25
    text = evaluation_page.write(results, options.output).read_text(encoding="utf-8")
    assert "python training/evaluate.py --pictures 1 --segments 1 --steps 2 --compared 0\n" in text
    assert "those of the demo's workflow (2 sampling steps for keyframes, 2 for segments)" in text
    assert "Against other settings" not in text
    assert all((tmp_path / "pictures" / f"demo_{kind}.png").is_file() for kind in ("keyframes", "segments"))
