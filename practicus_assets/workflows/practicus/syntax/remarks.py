"""Remarks: what of a dag file is not understood or not followed, in sentences."""


class Remarks:
    """What is said of a dag file while it is read, each sentence once and in order."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def say(self, sentence: str) -> None:
        """Note a sentence."""
        self._sentences[sentence] = None

    def sentences(self) -> tuple[str, ...]:
        """Return all of them."""
        return tuple(self._sentences)
