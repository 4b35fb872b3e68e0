"""Which samples of a file of PDEBench are to train with and which to test with."""


def pdebench_split(
    split: str,
    total: int,
    *,
    convention: str = "pdebench",
    test_fraction: float = 0.1,
    test_first: bool = False,
    place: str = "",
) -> range:
    """Samples of a split.

    Args:
        split: ``"train"`` or ``"test"``.
        total: Samples of the file.
        convention: ``"pdebench"`` or ``"transolver"``, which tests with the last in any case.
        test_fraction: Share of the samples to test with.
        test_first: Whether PDEBench tests with the first of this file.
        place: What a message begins with.

    Raises:
        ValueError: If an option is wrong or the split has no sample.
    """
    if split not in ("train", "test"):
        raise ValueError(f"{place}: unknown split '{split}'; choose 'train' or 'test'")
    if convention not in ("pdebench", "transolver"):
        raise ValueError(
            f"{place}: unknown convention '{convention}'; choose 'pdebench' or 'transolver'"
        )
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"{place}: expected test_fraction from 0 to 1 (got {test_fraction})")
    if test_first and convention == "pdebench":
        border = int(total * test_fraction)
        chosen = range(border) if split == "test" else range(border, total)
    else:
        # Rounded as PDEBench does it.
        border = int(total * (1 - test_fraction))
        chosen = range(border, total) if split == "test" else range(border)
    if not chosen:
        raise ValueError(
            f"{place}: none of {total} samples is left to {split} with; test_fraction is "
            f"{test_fraction}"
        )
    return chosen
