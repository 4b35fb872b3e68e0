"""Which cases of an array belong to the training set and which to the test set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSplit:
    """A published way to divide the cases of an array: the first to train, others to test.

    Attributes:
        num_train: Cases to train with, the first.
        num_test: Cases to test with.
        last: Whether these are the last of the array; otherwise they follow the training cases.
    """

    num_train: int
    num_test: int
    last: bool = False

    def cases(
        self,
        split: str,
        total: int,
        *,
        num_train: int | None = None,
        num_test: int | None = None,
        place: str = "",
    ) -> range:
        """Rows of the array in a split.

        Where no counts are given and there are fewer cases than the published ones, all are used
        and divided in the published proportion, at least one to test. Where one count is given,
        the other is the published one, or what is left.

        Args:
            split: ``"train"`` or ``"test"``.
            total: Cases in the array.
            num_train: Instead of the published count.
            num_test: Instead of the published count.
            place: What a message begins with.

        Raises:
            ValueError: If the split is unknown, or there are too few cases.
        """
        if split not in ("train", "test"):
            raise ValueError(f"{place}: unknown split '{split}'; choose 'train' or 'test'")
        for name, count in (("num_train", num_train), ("num_test", num_test)):
            if count is not None and count < 1:
                raise ValueError(f"{place}: expected {name} of at least 1 (got {count})")
        if num_train is None and num_test is None:
            num_train, num_test = self._published(total)
        elif num_train is None:
            num_train = min(self.num_train, total - (num_test or 0))
        elif num_test is None:
            num_test = min(self.num_test, total - num_train)
        assert num_test is not None
        if min(num_train, num_test) < 1 or num_train + num_test > total:
            raise ValueError(
                f"{place}: {total} cases are too few for {max(num_train, 1)} to train and "
                f"{max(num_test, 1)} to test; lower num_train or num_test"
            )
        if split == "train":
            return range(num_train)
        first = total - num_test if self.last else num_train
        return range(first, first + num_test)

    def _published(self, total: int) -> tuple[int, int]:
        if total >= self.num_train + self.num_test:
            return self.num_train, self.num_test
        num_test = max(1, total * self.num_test // (self.num_train + self.num_test))
        return total - num_test, num_test
