"""Settings of a training that follow from the size of a data set."""

from dataclasses import dataclass

from flare_mesh.data.splits import FRACTIONS, split_names
from flare_mesh.datasets.data_summary import DataSummary

FEWEST_CASES = 3
"""Cases that a training and a test need."""
_FEWEST_TO_HOLD_OUT = 10
_HELD_OUT = 5
_SHARE = 0.15
_MEMORY = 2 * 2**30
_CHANNELS = 24  # of a node in memory beside inputs and targets: coordinates, weight and features


@dataclass(frozen=True)
class Settings:
    """Settings of a training.

    Attributes:
        num_train: Training cases, those held out included.
        num_test: Test cases.
        val_split: Share of the training cases to hold out, name of a split, or None.
        in_memory: Whether all cases fit into 2 GiB of memory.
        in_folders: Whether folders divide the cases.
    """

    num_train: int
    num_test: int
    val_split: float | str | None
    in_memory: bool
    in_folders: bool

    def describe(self) -> str:
        """The use of the cases, in words."""
        if self.val_split is None:
            held_out = "none held out"
        elif isinstance(self.val_split, str):
            held_out = "those in 'val' held out to calibrate bands"
        else:
            count = round(self.num_train) - round((1 - self.val_split) * self.num_train)
            held_out = f"{count} of these held out to calibrate bands"
        how = "by their folders" if self.in_folders else "by their names"
        return f"{self.num_train} to train on ({held_out}), {self.num_test} to test on; {how}"


def choose_settings(summary: DataSummary, channels: int) -> Settings:
    """Choose the settings of a training.

    Args:
        summary: The data set.
        channels: Channels of all inputs and targets.

    Raises:
        ValueError: If there are too few cases.
    """
    if summary.num_cases < FEWEST_CASES:
        raise ValueError(
            f"{summary.place}: expected at least {FEWEST_CASES} cases, to train and to test (got "
            f"{summary.num_cases}); a surrogate learns from many simulations, better 30 or more"
        )
    if summary.splits:
        num_train, num_test = summary.splits.get("train", 0), summary.splits.get("test", 0)
    else:
        num_train = round(FRACTIONS["train"] * summary.num_cases)
        num_test = summary.num_cases - num_train
    nodes = sum(case.num_nodes for case in summary.sampled) / len(summary.sampled)
    size = 4 * nodes * (channels + _CHANNELS) * summary.num_cases
    split = "val" if summary.splits.get("val") else _share(num_train)
    return Settings(num_train, num_test, split, size < _MEMORY, bool(summary.splits))


def _share(num_train: int) -> float | None:
    """Share of the training cases to hold out: 0.15, or 5 cases, but at most a third of them."""
    if num_train < _FEWEST_TO_HOLD_OUT:
        return None
    wanted = min(max(_SHARE * num_train, _HELD_OUT), num_train / 3)
    share = round(wanted / num_train, 2)
    names = [str(number) for number in range(num_train)]
    held_out = len(split_names(names, "val", {"train": 1 - share, "val": share}))
    return share if held_out >= int(wanted) else round(share + 0.01, 2)
