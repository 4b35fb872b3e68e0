"""Limits of what a deck may generate from few lines."""

from flare_mesh.io.readers.abaqus.deck import Deck, Keyword

_MIN_BYTES = 1 << 28
_RATIO = 100  # bytes of the mesh for each byte of the deck
_MAX_KEYWORDS = 20_000
_MAX_SETS = 20_000
_MAX_WORK = 1 << 32  # members of sets


class Limits:
    """Limits of copies, generated nodes and elements, and sets.

    Args:
        file_bytes: Size of the deck.
        max_bytes: Limit of the size of the mesh.
    """

    def __init__(self, file_bytes: int, max_bytes: int) -> None:
        self.max_bytes = min(max_bytes, max(_MIN_BYTES, _RATIO * file_bytes))
        self._bytes = self._keywords = self._sets = self._work = 0

    def count(self, deck: Deck, keyword: Keyword) -> None:
        """Count a keyword that is read by itself.

        Raises:
            ValueError: If there are too many of them.
        """
        self._keywords += 1
        if self._keywords > _MAX_KEYWORDS:
            raise deck.error(
                keyword,
                f"is one of more than {_MAX_KEYWORDS:,} keywords that place or generate nodes and "
                f"elements; write the mesh itself to the deck",
            )

    def generate(self, deck: Deck, keyword: Keyword, numbers: int) -> None:
        """Count numbers that are not in the deck.

        Raises:
            ValueError: If there are too many of them.
        """
        self._bytes += 8 * numbers
        if self._bytes > self.max_bytes:
            raise deck.error(keyword, f"leads to a mesh of more than {self.max_bytes:,} bytes")

    def fields(self, deck: Deck, keyword: Keyword, members: int) -> None:
        """Count the bytes of the field of a set.

        Raises:
            ValueError: If there are too many of them.
        """
        self._sets += 1
        if self._sets > _MAX_SETS:
            raise deck.error(
                keyword, f"is one of more than {_MAX_SETS:,} sets; remove those that are not needed"
            )
        self._bytes += members
        if self._bytes > self.max_bytes:
            raise deck.error(
                keyword, f"is a set whose field leads to more than {self.max_bytes:,} bytes"
            )

    def work(self, deck: Deck, keyword: Keyword, members: int) -> None:
        """Count members of sets that are joined.

        Raises:
            ValueError: If there are too many of them.
        """
        self._work += members
        if self._work > _MAX_WORK:
            raise deck.error(
                keyword, "is one of too many sets of sets or ranges; write their members"
            )
