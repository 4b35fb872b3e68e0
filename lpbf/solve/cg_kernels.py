"""Vector updates of conjugate gradients, compiled for the CPU.

They run on one thread, so that the result does not depend on the number of threads.
"""

from flare_mesh.compiled.jit import FAST_SUM, jit


@jit(fastmath=FAST_SUM)
def update_direction(direction, z, residual, image, ratio):
    """Set direction = z + ratio (z . image) direction; return z . residual."""
    energy, cross = 0.0, 0.0
    for i in range(len(z)):
        energy += z[i] * residual[i]
        cross += z[i] * image[i]
    weight = ratio * cross
    for i in range(len(z)):
        direction[i] = z[i] + weight * direction[i]
    return energy


@jit(fastmath=FAST_SUM)
def update_solution(u, residual, direction, image, order):
    """Minimise the energy along a direction: u += step direction, residual -= step image.

    Return the step and the norm of the new residual. If the curvature is not positive, the step is
    0 and nothing changes.
    """
    curvature, slope = 0.0, 0.0
    for i in range(len(u)):
        curvature += direction[i] * image[i]
        slope += direction[i] * residual[i]
    if not curvature > 0:
        return 0.0, 0.0
    step, norm = slope / curvature, 0.0
    for i in range(len(u)):
        u[i] += step * direction[i]
        rest = residual[i] - step * image[i]
        residual[i] = rest
        norm += abs(rest) if order == 1 else rest * rest
    return step, norm if order == 1 else norm**0.5
