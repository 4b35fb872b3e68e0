"""The command line: ``flare-mesh fit`` and ``flare-mesh predict``."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal


def fit(
    data: str,
    out: str,
    epochs: int = 100,
    batch_size: int = 4,
    lr: float = 1e-3,
    hidden_channels: int = 64,
    num_layers: int = 4,
    heads: int = 4,
    num_latents: int = 32,
    kv_layers: int = -1,
    ffn_layers: int = 1,
    nodes_per_part: int | None = None,
    augment: bool = True,
    seed: int = 0,
) -> None:
    """Trains a surrogate on an LPBF data set and tests it.

    Args:
        data: Folder of the data set, as ``python -m lpbf.generate`` writes it.
        out: Folder for the trained surrogate and its metrics.
        epochs: Passes over the training split.
        batch_size: Parts a step.
        lr: Peak learning rate.
        hidden_channels: Channels of the layers.
        num_layers: Number of FLARE blocks.
        heads: Attention heads.
        num_latents: Latents of each head.
        kv_layers: Hidden layers of the key and value projections; -1 for one linear layer.
        ffn_layers: Hidden layers of the feed-forward networks.
        nodes_per_part: Nodes drawn at random from each part at each access; all if not given.
        augment: Random turns by 90 degrees and mirrorings.
        seed: Of weights, order and turns.
    """
    from flare_mesh.training import fit as train

    metrics = train(
        data,
        out,
        model={
            "hidden_channels": hidden_channels,
            "num_layers": num_layers,
            "heads": heads,
            "num_latents": num_latents,
            "kv_layers": kv_layers,
            "ffn_layers": ffn_layers,
        },
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        nodes_per_part=nodes_per_part,
        augment=augment,
        seed=seed,
    )
    print(f"trained {metrics['parameters']:,} parameters in {metrics['train_seconds']:.0f} s")
    print("relative L2 error on the test split (predicting the training mean):")
    for name, error in metrics["test_relative_l2"].items():
        print(f"  {name:<13} {error:.3f} ({metrics['mean_relative_l2'][name]:.3f})")
    print(f"surrogate: {out}")


def predict(
    model: str,
    part: str,
    out: str,
    picture: str | None = None,
    pitch: float | None = None,
    simulate: bool = False,
    islands: Literal["drop", "refuse"] = "drop",
) -> None:
    """Predicts the distortion of a CAD part or of a hexahedral mesh.

    Args:
        model: Folder of a trained surrogate.
        part: Surface (STL, PLY, OBJ, OFF, 3MF; in mm) or mesh file with hexahedra.
        out: Mesh file to write, such as ``part.vtu``.
        picture: Picture to write, such as ``part.png``.
        pitch: Voxel edge in mm for a surface; by default that of the training data.
        simulate: Also simulate the part and write the truth and the error.
        islands: "drop" voxels that nothing holds when they are built, or "refuse" such a part.
    """
    from flare_mesh.data import check_folder, check_writable
    from flare_mesh.prediction import predict as run
    from flare_mesh.surrogate import Surrogate

    check_writable(out)
    if Path(out).resolve() == Path(part).resolve():
        raise ValueError(f"{out}: would overwrite the part; choose another name")
    if picture is not None:
        if Path(picture).suffix.lower() != ".png":
            raise ValueError(f"{picture}: expected a picture's name that ends in .png")
        check_folder(picture)
    surrogate = Surrogate.load(model)
    if picture is not None and "displacement" not in surrogate.fields:
        raise ValueError(f"{model}: predicts {list(surrogate.fields)}, no displacement to draw")
    prediction = run(surrogate, part, pitch=pitch, simulate=simulate, islands=islands)
    prediction.save(out)
    nodes = prediction.mesh.num_nodes
    print(f"predicted {nodes:,} nodes in {prediction.predict_seconds:.3f} s: {out}")
    if prediction.simulate_seconds is not None:
        ratio = prediction.simulate_seconds / prediction.predict_seconds
        print(
            f"simulated them in {prediction.simulate_seconds:.2f} s; "
            f"the prediction is {ratio:.0f} times faster"
        )
    for name, error in prediction.relative_l2.items():
        print(f"relative L2 error of {name}: {error:.3f}")
    if picture is not None:
        from flare_mesh.visualize import plot_distortion

        plot_distortion(
            prediction.mesh,
            prediction.predicted["displacement"],
            prediction.simulated.get("displacement"),
            path=picture,
            title=Path(part).name,
        )
        print(f"picture: {picture}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 2 (bad input), 130 (Ctrl-C)."""
    from jsonargparse import auto_cli

    from lpbf import SolverError

    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            auto_cli([fit, predict], args=None if argv is None else list(argv), as_positional=False)
    except (ValueError, OSError, SolverError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """One line, without the place in our code that a user cannot act on."""
    print(f"warning: {message}", file=file or sys.stderr)
