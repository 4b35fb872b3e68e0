"""Compiled growth of Pathfinder's dashed curves."""

import math

import numpy as np

from flare_mesh.compiled.jit import jit

SIZE = 32
"""Pixels along a side of the image."""
REACH = 4
"""Pixels from the centre of a stamp to its sides."""
_LENGTH, _MARGIN, _PADDING, _SEED_DISTANCE = 2, 1, 1, 7
_STEP = _LENGTH + _MARGIN
_TRIALS, _SNAKE_TRIALS = 3, 5
_FULL = 255
_FREE = 76  # of 255: 0.3
_CROSSING = 459  # of 255: 1.8
_TOO_FULL = 0.01

# The masks are bytes, of which 255 are a mask of 1. No fast arithmetic: images must not depend on
# the processor.


@jit(fastmath=set())
def grow_image(rng, lines, masks, number, targets, distractors, paths):
    """Grow the two target curves of an image and its distractors.

    Args:
        rng: Random numbers.
        lines: Image of a dash [9, 9, 9, 9], by the offset of its end from its start, uint8.
        masks: Pixels that a dash occupies, as ``lines``.
        number: Dashes of a distractor, and number of distractors.
        targets: Image of the target curves [32, 32], uint8; overwritten.
        distractors: Image of the distractors [32, 32], uint8; overwritten.
        paths: Ends of the dashes of both target curves [2, K, 4], overwritten: row and column of
            the outer end, at which markers are put, then of the other end.
    """
    mask = np.empty((SIZE, SIZE), np.uint8)
    last = np.empty((2, SIZE, SIZE), np.uint8)
    while not _grow_targets(rng, lines, masks, mask, last, targets, paths):
        pass
    # As in the original, the last dash of the first curve is not in the mask.
    _add(mask, last[1])
    distractors[:] = 0
    for _ in range(number[1]):
        for _ in range(_SNAKE_TRIALS):
            if _grow_distractor(rng, lines, masks, mask, number[0], distractors):
                break


@jit(fastmath=set())
def _grow_targets(rng, lines, masks, mask, last, image, paths):
    mask[:] = 0
    _frame(mask, _PADDING)
    image[:] = 0
    pivots = np.empty((2, 2), np.int64)
    angles = np.empty(2)
    framed = mask.copy()
    _frame(framed, 2 * _SEED_DISTANCE)
    for snake in range(2):
        found = False
        for _ in range(_TRIALS):
            angle = _random_angle(rng)
            if snake == 0:
                tail_y, tail_x = _free_place(rng, framed, masks, angle)
                if tail_y < 0:
                    return False
            else:
                direction = math.floor(360 * rng.random()) * math.pi / 180
                tail_y = round(paths[0, 0, 0] + _SEED_DISTANCE * math.sin(direction))
                tail_x = round(paths[0, 0, 1] + _SEED_DISTANCE * math.cos(direction))
            head_y, head_x = _moved(tail_y, tail_x, angle, _LENGTH)
            pivot_y, pivot_x = _moved(head_y, head_x, _opposite(angle), _STEP)
            if _inside(head_y, head_x) and _inside(pivot_y, pivot_x):
                found = True
                break
        if not found:
            return False
        _stamp(image, lines, tail_y, tail_x, angle)
        last[snake] = 0
        _stamp(last[snake], masks, tail_y, tail_x, angle)
        pivots[snake, 0], pivots[snake, 1], angles[snake] = pivot_y, pivot_x, angle
        _set_path(paths, snake, 0, tail_y, tail_x, head_y, head_x)
    for dash in range(1, paths.shape[1]):
        for snake in range(2):
            angle, tip_y, tip_x = _extend(
                rng, lines, masks, mask, last[snake], pivots[snake], angles[snake], image
            )
            if tip_y < 0:
                return False
            angles[snake] = angle
            end_y, end_x = _moved(tip_y, tip_x, _opposite(angle), _LENGTH)
            _set_path(paths, snake, dash, tip_y, tip_x, end_y, end_x)
    return True


@jit(fastmath=set())
def _grow_distractor(rng, lines, masks, mask, length, distractors):
    """Grow a curve; a failure changes nothing."""
    count = 0
    for y in range(SIZE):
        for x in range(SIZE):
            count += mask[y, x] <= _FREE
    if count / SIZE**2 < _TOO_FULL:
        return False
    image, occupied = distractors.copy(), mask.copy()
    pivot = np.empty(2, np.int64)
    found = False
    for _ in range(_TRIALS):
        angle = _random_angle(rng)
        tail_y, tail_x = _free_place(rng, occupied, masks, angle)
        if tail_y < 0:
            return False
        head_y, head_x = _moved(tail_y, tail_x, angle, _LENGTH)
        pivot[0], pivot[1] = _moved(head_y, head_x, _opposite(angle), _STEP)
        if _inside(head_y, head_x) and _inside(pivot[0], pivot[1]):
            found = True
            break
    if not found:
        return False
    last = np.zeros((SIZE, SIZE), np.uint8)
    _stamp(image, lines, tail_y, tail_x, angle)
    _stamp(last, masks, tail_y, tail_x, angle)
    for _ in range(length - 1):
        angle, tip_y, _ = _extend(rng, lines, masks, occupied, last, pivot, angle, image)
        if tip_y < 0:
            return False
    _add(occupied, last)
    distractors[:] = image
    mask[:] = occupied
    return True


@jit(fastmath=set())
def _extend(rng, lines, masks, mask, last, pivot, angle, image):
    """Add a dash to a curve: its direction and outer end, of which the row is -1 if none fits.

    The end is one of the pixels on a circle about the pivot, chosen with the probability
    cos^2(turn) (1 - mask), with a mask that is one pixel wider.
    """
    pivot_y, pivot_x = _moved(pivot[0], pivot[1], angle, _LENGTH + 2 * _MARGIN)
    places = np.empty((24, 2), np.int64)
    turns, sums = np.empty(24), np.empty(24)
    count, total = 0, 0.0
    step = 1.0 / _STEP  # radians of an arc as long as a pixel
    for sample in range(math.ceil(2 * math.pi / step)):
        y = pivot_y + _STEP * math.sin(sample * step)
        x = pivot_x + _STEP * math.cos(sample * step)
        if not (0 <= y < SIZE and 0 <= x < SIZE):
            continue
        row, column = int(y), int(x)
        known = False
        for i in range(count):
            known |= places[i, 0] == row and places[i, 1] == column
        if known:
            continue
        direction = math.atan2(row - pivot_y, column - pivot_x)
        turn = abs(direction - angle)
        turn = min(turn, 2 * math.pi - turn, math.pi / 2)
        total += math.cos(turn) ** 2 * (1 - _widened(mask, row, column) / _FULL)
        places[count, 0], places[count, 1] = row, column
        turns[count], sums[count] = direction, total
        count += 1
    if total < 1e-4:
        return angle, -1, -1
    for _ in range(_TRIALS):
        chance = total * rng.random()
        chosen = 0
        while chosen < count - 1 and sums[chosen] <= chance:
            chosen += 1
        tip_y, tip_x = places[chosen]
        back = _opposite(turns[chosen])
        if _fits(mask, masks, tip_y, tip_x, back):
            _stamp(image, lines, tip_y, tip_x, back)
            _add(mask, last)
            last[:] = 0
            _stamp(last, masks, tip_y, tip_x, back)
            pivot[0], pivot[1] = pivot_y, pivot_x
            return turns[chosen], tip_y, tip_x
    return angle, -1, -1


@jit(fastmath=set())
def _free_place(rng, mask, masks, angle):
    """A random pixel at which a dash of this direction begins in free pixels; -1 without one.

    As in the original, the shape of the dash is cut from a window around a place that is a pixel
    off its centre, and mirrored.
    """
    row, column = _stamp_of(angle)
    side = 2 * _STEP + 1
    offsets = np.empty((side * side, 2), np.int64)
    count = 0
    for i in range(side):
        for j in range(side):
            if masks[row, column, i, j] == _FULL:
                offsets[count, 0], offsets[count, 1] = i - _STEP, j - _STEP
                count += 1
    free = np.empty((SIZE * SIZE, 2), np.int64)
    found = 0
    for y in range(SIZE):
        for x in range(SIZE):
            taken = False
            for k in range(count):
                i, j = y + offsets[k, 0], x + offsets[k, 1]
                if 0 <= i < SIZE and 0 <= j < SIZE and mask[i, j] > _FREE:
                    taken = True
                    break
            if not taken:
                free[found, 0], free[found, 1] = y, x
                found += 1
    if not found:
        return -1, -1
    chosen = int(found * rng.random())
    return free[chosen, 0], free[chosen, 1]


@jit(fastmath=set())
def _random_angle(rng):
    return (math.floor(360 * rng.random()) - 180) * math.pi / 180


@jit(fastmath=set())
def _opposite(angle):
    return angle + math.pi if angle < 0 else angle - math.pi


@jit(fastmath=set())
def _moved(y, x, angle, distance):
    return (
        math.ceil(y + distance * math.sin(angle)),
        math.ceil(x + distance * math.cos(angle)),
    )


@jit(fastmath=set())
def _inside(y, x):
    return 0 <= y < SIZE and 0 <= x < SIZE


@jit(fastmath=set())
def _stamp_of(angle):
    """Index of a dash's image, which is drawn at twice the resolution."""
    y, x = _moved(2 * REACH, 2 * REACH, angle, 2 * _LENGTH)
    return y - REACH, x - REACH


@jit(fastmath=set())
def _stamp(image, stamps, y, x, angle):
    row, column = _stamp_of(angle)
    for i in range(max(0, REACH - y), min(2 * REACH + 1, SIZE + REACH - y)):
        for j in range(max(0, REACH - x), min(2 * REACH + 1, SIZE + REACH - x)):
            value = stamps[row, column, i, j]
            if value > image[y - REACH + i, x - REACH + j]:
                image[y - REACH + i, x - REACH + j] = value


@jit(fastmath=set())
def _fits(mask, masks, y, x, angle):
    row, column = _stamp_of(angle)
    for i in range(max(0, REACH - y), min(2 * REACH + 1, SIZE + REACH - y)):
        for j in range(max(0, REACH - x), min(2 * REACH + 1, SIZE + REACH - x)):
            taken = np.int64(mask[y - REACH + i, x - REACH + j])
            if taken + masks[row, column, i, j] >= _CROSSING:
                return False
    return True


@jit(fastmath=set())
def _widened(mask, y, x):
    """Largest mask of a pixel and its four neighbours."""
    value = mask[y, x]
    if y > 0:
        value = max(value, mask[y - 1, x])
    if y < SIZE - 1:
        value = max(value, mask[y + 1, x])
    if x > 0:
        value = max(value, mask[y, x - 1])
    if x < SIZE - 1:
        value = max(value, mask[y, x + 1])
    return value


@jit(fastmath=set())
def _add(mask, other):
    for y in range(SIZE):
        for x in range(SIZE):
            mask[y, x] = max(mask[y, x], other[y, x])


@jit(fastmath=set())
def _frame(mask, width):
    mask[:width] = _FULL
    mask[SIZE - width :] = _FULL
    mask[:, :width] = _FULL
    mask[:, SIZE - width :] = _FULL


@jit(fastmath=set())
def _set_path(paths, snake, dash, y, x, other_y, other_x):
    paths[snake, dash, 0], paths[snake, dash, 1] = y, x
    paths[snake, dash, 2], paths[snake, dash, 3] = other_y, other_x
