"""Files that survive a power cut: whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, durable: bool = True) -> None:
    """Replaces the file in one step; `durable`: it is on the card when this returns. Raises OSError, the old file is kept."""
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A new name is on the card only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
