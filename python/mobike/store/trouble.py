"""What can be wrong with a store."""

from pathlib import Path


class StoreError(Exception):
    """A store cannot be used: which file, why, and what to do."""

    def __init__(self, path: Path, why: str, fix: str) -> None:
        super().__init__(f"{path}: {why}; {fix}")


class InUse(StoreError):
    """Another daemon has it."""
