"""A data lake that can run full: a small file system of its own, where this program may mount one.

A quota or a loop device would need more rights than a tmpfs, and no library is put between the workers
and their disk: what they meet is the kernel's own ENOSPC.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SIZE_MIB: Final = 512
_BALLAST: Final = ".ballast"


class Disk:
    """The data lake's folder, and its ballast."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.why_not = ""
        """Why it can't be filled, as a sentence; empty if it can."""

    def mount(self) -> None:
        """Make the folder, as a small file system where that is allowed."""
        self.folder.mkdir(parents=True)
        if sys.platform != "linux" or os.geteuid() != 0:
            self.why_not = "only root may mount a small file system (Linux)"
            return
        size = f"size={SIZE_MIB}m"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder)]
        try:
            done = subprocess.run(command, check=False, capture_output=True, timeout=10)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            self.why_not = f"mount did not run ({type(error).__name__})"
            return
        if done.returncode != 0:
            self.why_not = "this machine lets nobody mount a small file system"

    def fill(self) -> None:
        """Leave not one byte."""
        with (self.folder / _BALLAST).open("wb", buffering=0) as ballast:
            for size in (1_048_576, 4096, 1):
                block = b"\0" * size
                try:
                    while ballast.write(block):
                        pass
                except OSError:
                    continue  # full for blocks of this size

    def free(self) -> None:
        """Give the room back."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        """Take the file system away; what lies in it is gone. Also one that an older run left."""
        if self.folder.is_mount():
            command = ["umount", "-l", str(self.folder)]
            subprocess.run(command, check=False, capture_output=True, timeout=10)  # noqa: S603
