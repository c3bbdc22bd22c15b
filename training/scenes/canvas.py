"""Drawing of a plan's items with Skia, on three layers that together are the picture."""

import numpy as np
import skia

from .curves import prefix
from .palettes import Colour
from .plan import BAND, Item
from .sketch import Shape

LAYERS = ("colour", "guide", "ink")  # from bottom to top
LAYER_OF = {"guide": "guide", "ink": "ink"}  # everything else is colour


def _argb(colour: Colour, opacity: float = 1.0) -> int:
    r, g, b = (int(min(255, max(0, round(c)))) for c in colour)
    return skia.ColorSetARGB(int(round(255 * opacity)), r, g, b)


def _path(points: np.ndarray, closed: bool) -> skia.Path:
    return skia.Path.Polygon([skia.Point(x, y) for x, y in points.tolist()], closed)


class Layer:
    """A transparent raster surface whose pixels are a NumPy array."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels = np.zeros((height, width, 4), np.uint8)
        info = skia.ImageInfo.Make(width, height, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
        self.surface = skia.Surface.MakeRasterDirect(info, self.pixels)
        self.canvas = self.surface.getCanvas()

    def load(self, pixels: np.ndarray | int) -> None:
        """Replace all pixels."""
        # Skia keeps a snapshot of the surface, and would show the old pixels without this call.
        self.surface.notifyContentWillChange(skia.Surface.kDiscard_ContentChangeMode)
        self.pixels[...] = pixels


class Canvas:
    """The layers of one painting; items are drawn in units of the short side."""

    def __init__(self, width: int, height: int, shapes: list[Shape]) -> None:
        self.width, self.height, self.unit = width, height, float(min(width, height))
        self.paths = [_path(s.outline, True) for s in shapes]
        for i, s in enumerate(shapes):
            if s.within is not None:  # a shape covers others only where it is visible itself
                self.paths[i] = skia.Op(self.paths[i], self.paths[s.within], skia.PathOp.kIntersect_PathOp)
        self.layers = {name: Layer(width, height) for name in LAYERS}
        self.scratch, self.result = Layer(width, height), Layer(width, height)

    def clear(self) -> None:
        """Return to the blank canvas."""
        for layer in self.layers.values():
            layer.load(0)

    def draw(self, item: Item) -> None:
        """Draw the whole item on its layer."""
        self._draw(self.layers[LAYER_OF.get(item.kind, "colour")].canvas, item, 1.0)

    def picture(self, item: Item | None, share: float, guide_opacity: float) -> np.ndarray:
        """Return the picture, with a part of one more item: uint8 (height, width, 3).

        Args:
            item: drawn on a copy of its layer, so the layer stays as it is; or None.
            share: part of the item that is drawn, 0 to 1.
            guide_opacity: opacity of the construction lines, 0 to 1.
        """
        touched = None
        if item is not None:
            touched = LAYER_OF.get(item.kind, "colour")
            self.scratch.load(self.layers[touched].pixels)
            self._draw(self.scratch.canvas, item, share)
        canvas = self.result.canvas
        canvas.clear(skia.ColorWHITE)
        for name in LAYERS:
            layer = self.scratch if name == touched else self.layers[name]
            opacity = guide_opacity if name == "guide" else 1.0
            if opacity > 0:
                layer.surface.draw(canvas, 0, 0, skia.Paint(Alphaf=opacity))
        return self.result.pixels[:, :, :3].copy()

    def _draw(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        canvas.save()
        canvas.scale(self.unit, self.unit)
        for i in item.within:
            canvas.clipPath(self.paths[i], skia.ClipOp.kIntersect, True)
        for i in item.outside:
            canvas.clipPath(self.paths[i], skia.ClipOp.kDifference, True)
        getattr(self, f"_{item.kind}")(canvas, item, share)
        canvas.restore()

    def _ink(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        paint = skia.Paint(
            Color=_argb(item.colour, item.amount),
            AntiAlias=True,
            Style=skia.Paint.kStroke_Style,
            StrokeWidth=item.width,
            StrokeCap=skia.Paint.kRound_Cap,
            StrokeJoin=skia.Paint.kRound_Join,
        )
        canvas.drawPath(_path(prefix(item.path, share), False), paint)

    _guide = _ink
    _stroke = _ink

    def _fill(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        paint = skia.Paint(Color=_argb(item.colour), AntiAlias=True)
        if item.under:
            paint.setBlendMode(skia.BlendMode.kDstOver)
        if share < 1:
            paint.setStyle(skia.Paint.kStroke_Style)
            paint.setStrokeWidth(BAND * 1.25)
            paint.setStrokeCap(skia.Paint.kRound_Cap)
            canvas.drawPath(_path(prefix(item.path, share), False), paint)
        else:
            canvas.drawPaint(paint)  # the clip is the shape; drawing its path too would smooth the edge twice

    def _edge(self, canvas: skia.Canvas, item: Item, offset: float, paint: skia.Paint) -> None:
        """Paint the part of the shape that it no longer covers when it is moved by `offset` along the diagonal of the light."""
        moved = _path(item.path + offset, True)
        moved.addRect(skia.Rect.MakeLTRB(-2, -2, 5, 5))
        moved.setFillType(skia.PathFillType.kEvenOdd)
        canvas.drawPath(moved, paint)

    def _shade(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        paint = skia.Paint(Color=_argb(item.colour, min(1.0, 0.5 + 0.5 * item.width)), AntiAlias=True)
        paint.setBlendMode(skia.BlendMode.kMultiply)
        # At share 0 the soft edge lies outside of the shape, so that it enters gradually.
        soft = item.amount * 0.3
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, soft))
        self._edge(canvas, item, 1.5 * soft - (item.amount + 1.5 * soft) * share, paint)

    def _light(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        paint = skia.Paint(Color=_argb(item.colour, 0.9 * min(1.0, item.width * 2)), AntiAlias=True)
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, max(0.002, item.amount * 0.25)))
        self._edge(canvas, item, item.amount * (1.2 * share - 0.2), paint)

    def _gradient(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        low, high = item.path.min(axis=0), item.path.max(axis=0)
        far = _argb(item.colour, min(1.0, item.width) * share)
        points = [skia.Point(*low.tolist()), skia.Point(*high.tolist())]
        paint = skia.Paint(BlendMode=skia.BlendMode.kMultiply)
        paint.setShader(skia.GradientShader.MakeLinear(points, [far & 0x00FFFFFF, far], [0.2, 1.0]))
        canvas.drawPaint(paint)

    def _spot(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        paint = skia.Paint(Color=_argb(item.colour, item.amount), AntiAlias=True)
        if item.soft:
            paint.setAlphaf(item.amount * share)
            paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, item.soft))
            canvas.drawPath(_path(item.path, True), paint)
            return
        centre = (item.path.min(axis=0) + item.path.max(axis=0)) / 2
        canvas.drawPath(_path(centre + (item.path - centre) * np.sqrt(share), True), paint)

    def _glaze(self, canvas: skia.Canvas, item: Item, share: float) -> None:
        w, h = self.width / self.unit, self.height / self.unit
        near = _argb(item.colour, item.amount * share)
        paint = skia.Paint(BlendMode=skia.BlendMode.kSrcATop)
        colours = [near, near & 0x00FFFFFF]
        paint.setShader(
            skia.GradientShader.MakeRadial(skia.Point(0.1 * w, 0.05 * h), 0.8 * max(w, h), colours)
        )
        canvas.drawPaint(paint)
