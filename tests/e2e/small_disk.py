"""A home on a file system of its own, which can be filled to its last block: a tmpfs, where this may be mounted."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = 4096


@dataclass(frozen=True)
class Disk:
    """The file system under a home."""

    path: Path

    def fill(self, but: int = 0) -> None:
        """Nothing is left on it but so many bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(PAGE))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            if but:
                os.ftruncate(file.fileno(), max(0, file.tell() - but))

    def clear(self) -> None:
        """There is room again."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.path / "somebody-elses.log"


@contextmanager
def small_disk(home: str, size: str = "24m") -> Iterator[Disk]:
    """Puts a home on one. Skips the test, and says why, where that is not allowed."""
    path, aside = Path(home), Path(f"{home}.aside")
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    path.rename(aside)
    path.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "caisey-test", path],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        path.rmdir()
        aside.rename(path)
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(aside, path, dirs_exist_ok=True)
        yield Disk(path)
    finally:
        # What still runs on it may go on until it ends.
        subprocess.run(["umount", "--lazy", path], check=True)
