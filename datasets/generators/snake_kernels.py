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
def grow_image(state, lines, masks, number, targets, distractors, paths):
    """Grow the two target curves of an image and its distractors.

    Args:
        state: State of the random numbers [1], uint64.
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
    while not _grow_targets(state, lines, masks, mask, last, targets, paths):
        pass
    # As in the original, the last dash of the first curve is not in the mask.
    _add(mask, last[1])
    _fill(distractors, 0)
    for _ in range(number[1]):
        for _ in range(_SNAKE_TRIALS):
            if _grow_distractor(state, lines, masks, mask, number[0], distractors):
                break


@jit(fastmath=set())
def _grow_targets(state, lines, masks, mask, last, image, paths):
    _fill(mask, 0)
    _frame(mask, _PADDING)
    _fill(image, 0)
    pivots = np.empty((2, 2), np.int64)
    angles = np.empty(2)
    framed = np.empty((SIZE, SIZE), np.uint8)
    _copy(mask, framed)
    _frame(framed, 2 * _SEED_DISTANCE)
    angle, tail_y, tail_x, head_y, head_x, pivot_y, pivot_x = 0.0, 0, 0, 0, 0, 0, 0
    for snake in range(2):
        found = False
        for _ in range(_TRIALS):
            angle = _random_angle(state)
            if snake == 0:
                tail_y, tail_x = _free_place(state, framed, masks, angle)
                if tail_y < 0:
                    return False
            else:
                direction = math.floor(360 * _uniform(state)) * math.pi / 180
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
        _fill(last[snake], 0)
        _stamp(last[snake], masks, tail_y, tail_x, angle)
        pivots[snake, 0], pivots[snake, 1], angles[snake] = pivot_y, pivot_x, angle
        _set_path(paths, snake, 0, tail_y, tail_x, head_y, head_x)
    for dash in range(1, paths.shape[1]):
        for snake in range(2):
            angle, tip_y, tip_x = _extend(
                state, lines, masks, mask, last[snake], pivots[snake], angles[snake], image
            )
            if tip_y < 0:
                return False
            angles[snake] = angle
            end_y, end_x = _moved(tip_y, tip_x, _opposite(angle), _LENGTH)
            _set_path(paths, snake, dash, tip_y, tip_x, end_y, end_x)
    return True


@jit(fastmath=set())
def _grow_distractor(state, lines, masks, mask, length, distractors):
    """Grow a curve; a failure changes nothing."""
    count = 0
    for y in range(SIZE):
        for x in range(SIZE):
            count += mask[y, x] <= _FREE
    if count / SIZE**2 < _TOO_FULL:
        return False
    image, occupied = np.empty((SIZE, SIZE), np.uint8), np.empty((SIZE, SIZE), np.uint8)
    _copy(distractors, image)
    _copy(mask, occupied)
    pivot = np.empty(2, np.int64)
    angle, tail_y, tail_x = 0.0, 0, 0
    found = False
    for _ in range(_TRIALS):
        angle = _random_angle(state)
        tail_y, tail_x = _free_place(state, occupied, masks, angle)
        if tail_y < 0:
            return False
        head_y, head_x = _moved(tail_y, tail_x, angle, _LENGTH)
        pivot[0], pivot[1] = _moved(head_y, head_x, _opposite(angle), _STEP)
        if _inside(head_y, head_x) and _inside(pivot[0], pivot[1]):
            found = True
            break
    if not found:
        return False
    last = np.empty((SIZE, SIZE), np.uint8)
    _fill(last, 0)
    _stamp(image, lines, tail_y, tail_x, angle)
    _stamp(last, masks, tail_y, tail_x, angle)
    for _ in range(length - 1):
        angle, tip_y, _ = _extend(state, lines, masks, occupied, last, pivot, angle, image)
        if tip_y < 0:
            return False
    _add(occupied, last)
    _copy(image, distractors)
    _copy(occupied, mask)
    return True


@jit(fastmath=set())
def _extend(state, lines, masks, mask, last, pivot, angle, image):
    """Add a dash to a curve: its direction and outer end, of which the row is -1 if none fits.

    The end is one of the pixels on a circle about the pivot, chosen with the probability
    cos^2(turn) (1 - mask), with a mask that is one pixel wider.
    """
    pivot_y, pivot_x = _moved(pivot[0], pivot[1], angle, _LENGTH + 2 * _MARGIN)
    places, count = _circle(pivot_y, pivot_x)
    turns, sums, total = np.empty(count), np.empty(count), 0.0
    for i in range(count):
        row, column = places[i]
        turns[i] = math.atan2(row - pivot_y, column - pivot_x)
        turn = abs(turns[i] - angle)
        turn = min(turn, 2 * math.pi - turn, math.pi / 2)
        total += math.cos(turn) ** 2 * (1 - _widened(mask, row, column) / _FULL)
        sums[i] = total
    if total < 1e-4:
        return angle, -1, -1
    for _ in range(_TRIALS):
        chance = total * _uniform(state)
        chosen = 0
        while chosen < count - 1 and sums[chosen] <= chance:
            chosen += 1
        tip_y, tip_x = places[chosen]
        back = _opposite(turns[chosen])
        if _fits(mask, masks, tip_y, tip_x, back):
            _stamp(image, lines, tip_y, tip_x, back)
            _add(mask, last)
            _fill(last, 0)
            _stamp(last, masks, tip_y, tip_x, back)
            pivot[0], pivot[1] = pivot_y, pivot_x
            return turns[chosen], tip_y, tip_x
    return angle, -1, -1


@jit(fastmath=set())
def _circle(center_y, center_x):
    """Different pixels on the circle about a pivot, row by row, and their number."""
    places = np.empty((24, 2), np.int64)
    count = 0
    step = 1.0 / _STEP  # radians of an arc as long as a pixel
    for sample in range(math.ceil(2 * math.pi / step)):
        y = center_y + _STEP * math.sin(sample * step)
        x = center_x + _STEP * math.cos(sample * step)
        if not (0 <= y < SIZE and 0 <= x < SIZE):
            continue
        key = int(y) * SIZE + int(x)
        place = count
        while place and places[place - 1, 0] * SIZE + places[place - 1, 1] > key:
            place -= 1
        if place and places[place - 1, 0] * SIZE + places[place - 1, 1] == key:
            continue
        for i in range(count, place, -1):
            places[i, 0], places[i, 1] = places[i - 1, 0], places[i - 1, 1]
        places[place, 0], places[place, 1] = int(y), int(x)
        count += 1
    return places, count


@jit(fastmath=set())
def _free_place(state, mask, masks, angle):
    """A random pixel at which a dash of this direction begins in free pixels; -1 without one.

    As in the original, the shape of the dash is cut from a window around a place that is a pixel
    off its centre, and mirrored; and there is no place for a direction with which all of that shape
    is outside the image at some pixel: OpenCV's dilation gives it the lowest number, at which the
    original stops. So most directions are refused, and few distractors are drawn.
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
            taken, outside = False, True
            for k in range(count):
                i, j = y + offsets[k, 0], x + offsets[k, 1]
                if 0 <= i < SIZE and 0 <= j < SIZE:
                    outside = False
                    if mask[i, j] > _FREE:
                        taken = True
                        break
            if outside:
                return -1, -1
            if not taken:
                free[found, 0], free[found, 1] = y, x
                found += 1
    if not found:
        return -1, -1
    chosen = int(found * _uniform(state))
    return free[chosen, 0], free[chosen, 1]


@jit(fastmath=set())
def _uniform(state):
    """A random number in [0, 1): SplitMix64, which compiles in an instant."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * 2.0**-53


@jit(fastmath=set())
def _random_angle(state):
    return (math.floor(360 * _uniform(state)) - 180) * math.pi / 180


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
    for y in range(SIZE):
        for x in range(SIZE):
            if min(y, x) < width or max(y, x) >= SIZE - width:
                mask[y, x] = _FULL


# Numba takes seconds to compile assignments to slices.
@jit(fastmath=set())
def _fill(image, value):
    for y in range(SIZE):
        for x in range(SIZE):
            image[y, x] = value


@jit(fastmath=set())
def _copy(source, target):
    for y in range(SIZE):
        for x in range(SIZE):
            target[y, x] = source[y, x]


@jit(fastmath=set())
def _set_path(paths, snake, dash, y, x, other_y, other_x):
    paths[snake, dash, 0], paths[snake, dash, 1] = y, x
    paths[snake, dash, 2], paths[snake, dash, 3] = other_y, other_x
