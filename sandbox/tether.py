"""Run a program that ends with its parent: `python tether.py PARENT_PID PROGRAM [ARGUMENT ...]`.

Started between a parent and its program, it asks the kernel for a SIGKILL at the parent's death and
then becomes the program. The request outlives exec, so a parent that is killed hard leaves nothing
behind. Standard library only, as it runs with `-I -S` to be quick. Without prctl (macOS) the
program just starts.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def main() -> None:
    """Tie this process to its parent and replace it by the program."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked: no signal would ever come
            sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - replacing ourselves is the point


if __name__ == "__main__":
    main()
