"""Text that came from elsewhere, made safe for a terminal: a peer chooses its own identity, and may choose badly."""


def plain(text: object) -> str:
    """The text without anything that moves a cursor or changes a terminal; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in str(text))
