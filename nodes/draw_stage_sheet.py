"""The node that puts the stages of a painting on one sheet."""

import numpy as np
import torch
from comfy_api.latest import io, ui

from ..paintsundo_models.host.out_of_memory import Stage, said_plainly
from ..paintsundo_models.operation_steps import parse_operation_steps
from ..paintsundo_models.pictures import stage_sheet
from ..paintsundo_models.pictures.inputs import composite_on_white
from .choices import Choice, require_choice
from .page_features import searched_as

TURNED = "painting (turned round)"
GIVEN = "as given"


class StageSheet(io.ComfyNode):
    """Draw pictures in rows, each with a label."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoStageSheet",
            display_name="Stage Sheet",
            category="PaintsUndo/keyframes",
            description="Puts the stages of a painting on one sheet, each with a label below, in any script: to choose from, "
            "to print, to teach with. Connect Save Image to keep it.",
            **searched_as("contact sheet", "grid", "collage", "label", "print", "tutorial", "steps"),
            inputs=[
                io.Image.Input(
                    "images",
                    tooltip="The keyframes from Arrange Keyframes or Predict Keyframes, or any other batch. "
                    "Transparent parts become white.",
                ),
                io.String.Input(
                    "labels",
                    default="",
                    multiline=True,
                    tooltip="One label on each line, in any script, in the order of the sheet. Empty: labels come from "
                    "operation_steps, else from fps, else the pictures are numbered.",
                ),
                io.String.Input(
                    "operation_steps",
                    default="",
                    tooltip="The operation steps of the keyframes in the order of images, such as 400, 800, 999, or the output "
                    "of Predict Keyframes: each picture is labelled with the name of its stage. Empty: no names. Labels "
                    "come first.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    tooltip="Frames a second if images are the frames of a video, 0 to 1000: each picture is labelled with its "
                    "time. 0: no times. Labels and operation_steps come first.",
                ),
                io.Int.Input(
                    "most",
                    default=12,
                    min=1,
                    max=stage_sheet.MAX_PICTURES,
                    tooltip="How many pictures the sheet shows at most, 1 to 100. From a longer batch, pictures are taken at even "
                    "distances, the first and the last among them.",
                ),
                io.Int.Input(
                    "columns",
                    default=0,
                    min=0,
                    max=stage_sheet.MAX_PICTURES,
                    tooltip="Pictures in a row, 1 to 100. 0: the number that fills the sheet best.",
                ),
                io.String.Input(
                    "title", default="", tooltip="A line of text above all pictures. Empty: no title."
                ),
                Choice(
                    "size",
                    options=list(stage_sheet.SHEET_SIZES),
                    default=stage_sheet.SHEET_SIZES[0],
                    tooltip="screen: 1920 pixels wide, on light grey. as the pictures: the pictures keep their size. A4 and "
                    "Letter: a white page to print, portrait or landscape, whichever shows the pictures larger.",
                ),
                Choice(
                    "order",
                    options=[TURNED, GIVEN],
                    default=TURNED,
                    tooltip="painting (turned round): reverses the order, so that keyframes run from the canvas to the finished "
                    "picture. as given: keeps the order, for the frames of a video.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="sheet", tooltip="The sheet: one picture (1, height, width, 3).")
            ],
        )

    @classmethod
    def validate_inputs(
        cls, labels: str | None = None, title: str | None = None, operation_steps: str | None = None
    ) -> bool | str:
        # None: the input is linked, and its value is known only when the node runs. The error is raised, because the
        # host would report a returned text at all three inputs.
        stage_sheet.check_texts([text for text in (labels, title) if text])
        if operation_steps and not (labels or "").strip():
            parse_operation_steps(operation_steps)
        return True

    @classmethod
    @said_plainly(Stage("the sheet was being drawn", "Choose a smaller size or fewer pictures."))
    def execute(
        cls,
        images: io.Image.Type,
        labels: str,
        operation_steps: str,
        fps: float,
        most: int,
        columns: int,
        title: str,
        size: str,
        order: str,
    ) -> io.NodeOutput:
        from PIL import Image

        require_choice("size", size, list(stage_sheet.SHEET_SIZES))
        require_choice("order", order, [TURNED, GIVEN])
        shown = list(range(len(images)))
        if order == TURNED:
            shown.reverse()
        shown = [shown[place] for place in stage_sheet.spread(len(images), most)]
        if labels.strip():
            names = stage_sheet.written_labels(labels, len(shown))
        elif operation_steps.strip():
            steps = stage_sheet.step_labels(operation_steps, len(images))
            names = [steps[index] for index in shown]
        elif fps > 0:
            start = shown[0]
            names = [f"{abs(index - start) / fps:.1f} s" for index in shown]
        else:
            names = [str(number) for number in range(1, len(shown) + 1)]
        frames = (
            composite_on_white(images[shown], "images")
            .clamp(0, 1)
            .mul(255)
            .round()
            .to(torch.uint8)
            .cpu()
            .numpy()
        )
        sheet = stage_sheet.draw_sheet(
            [Image.fromarray(frame) for frame in frames], names, title.strip(), columns, size
        )
        image = torch.from_numpy(np.asarray(sheet, dtype=np.float32) / 255)[None]
        return io.NodeOutput(image, ui=ui.PreviewImage(image, cls=cls))
