"""Pathfinder images: are two markers at the ends of the same dashed curve?"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from flare_mesh.datasets.generators.snake_kernels import REACH, SIZE, grow_image

_RADIUS, _SCALE = 1.5, 2
_TARGET, _DISTRACTOR = 1.5, 2.0


class PathfinderImages(NamedTuple):
    """Images, and what is drawn in them.

    Attributes:
        images: Grey values [B, 32, 32], uint8.
        labels: Whether both markers are at the same curve [B], int64.
        paths: Ends of the K dashes of both target curves [B, 2, K, 4]: row and column of the outer
            end, at which markers are put, then of the other end, int64.
        markers: Row and column of both markers [B, 2, 2], int64.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    paths: NDArray[np.int64]
    markers: NDArray[np.int64]


def draw_pathfinder(rng: np.random.Generator, count: int, contour_length: int) -> PathfinderImages:
    """Draw Pathfinder images of 32 x 32 pixels, by the rules of the published program.

    Two curves of ``contour_length`` dashes begin 7 pixels apart near the middle and grow dash by
    dash in turn, away from all other dashes. Distractors have a third of the dashes and fill the
    rest; some may be missing. A marker is at the beginning of one curve, the other one at the end
    of the same curve or of the other, with probability 1/2. Everything is drawn at twice the
    resolution, reduced by a Lanczos filter, combined by the maximum (curves 1.5, distractors 2,
    markers 1), and scaled to 0 ... 255.

    Linsley et al. (arXiv 1805.08315), with the parameters of the Long Range Arena's 32 x 32 set.

    Args:
        rng: Random numbers.
        count: Number of images B.
        contour_length: Dashes of a curve, K.
    """
    lines, masks = _dash_stamps()
    discs = _disc_images()
    length = contour_length // 3
    number = np.array([length, 20 // length])
    paths = np.zeros((count, 2, contour_length, 4), np.int64)
    markers = np.zeros((count, 2, 2), np.int64)
    targets, distractors = np.zeros((2, count, SIZE, SIZE), np.uint8)
    labels = np.zeros(count, np.int64)
    for i in range(count):
        state = rng.integers(2**64, size=1, dtype=np.uint64)
        grow_image(state, lines, masks, number, targets[i], distractors[i], paths[i])
        labels[i], first = rng.integers(2, size=2)
        second = first if labels[i] else 1 - first
        markers[i] = paths[i, first, 0, :2], paths[i, second, -1, :2]
    marked = discs[markers[..., 0], markers[..., 1]].max(1)
    light = np.maximum(np.maximum(_TARGET * targets, _DISTRACTOR * distractors), marked)
    low, high = light.min((1, 2), keepdims=True), light.max((1, 2), keepdims=True)
    images = (255 * (light - low) / (high - low) + 0.5).astype(np.uint8)
    return PathfinderImages(images, labels, paths, markers)


@cache
def _dash_stamps() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images of a dash and of the pixels that it takes [9, 9, 9, 9], by the offset of its end."""
    side = 2 * REACH + 1
    lines, masks = np.zeros((2, side, side, side, side), np.uint8)
    for row in range(side):
        for column in range(side):
            wide = 2 * _SCALE * REACH + 1
            large = Image.new("L", (wide, wide))
            middle = _SCALE * REACH
            ends = [(middle, middle), (column + REACH, row + REACH)]
            ImageDraw.Draw(large).line(ends, fill=255, width=1)
            pixels = np.asarray(large)
            wide = pixels.copy()
            for y in range(-_SCALE, _SCALE + 1):
                for x in range(-_SCALE, _SCALE + 1):
                    if y * y + x * x <= _SCALE * _SCALE:
                        wide = np.maximum(wide, np.roll(pixels, (y, x), (0, 1)))
            lines[row, column] = _reduced(pixels, side)
            masks[row, column] = _reduced(wide, side)
    return lines, masks


@cache
def _disc_images() -> NDArray[np.uint8]:
    """Image of a marker at each pixel [32, 32, 32, 32]."""
    places = np.arange(_SCALE * SIZE)
    images = np.empty((SIZE,) * 4, np.uint8)
    for row in range(SIZE):
        for column in range(SIZE):
            y, x = places[:, None] - _SCALE * row, places - _SCALE * column
            disc = y * y + x * x <= (_SCALE * _RADIUS) ** 2
            images[row, column] = _reduced(np.where(disc, np.uint8(255), np.uint8(0)), SIZE)
    return images


def _reduced(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
