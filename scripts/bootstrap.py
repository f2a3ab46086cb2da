"""Set up .venv, with a Python that is new enough: `python3 scripts/bootstrap.py`, or `make`.

This file is written for any Python since 2.7, so that an old one ends with a sentence and not with
a syntax error. The work itself is in install.py.
"""

# ruff: noqa: ANN001, ANN201, INP001, PTH100, PTH118, PTH120, PTH123, RUF005, S603, UP031
import os
import subprocess
import sys

OLDEST = (3, 11)
NAMES = ("python3.13", "python3.12", "python3.11")
CHECK = "import sys; sys.exit(sys.version_info < (%d, %d))" % OLDEST


def main():  # type: () -> None
    """Hand over to install.py; come back only with a sentence on why that is not possible."""
    python = find_python()
    if python is None:
        own = os.environ.get("PYTHON")
        found = "PYTHON=%s is not one" % own if own else "this is %d.%d" % sys.version_info[:2]
        sys.exit(
            "set-up: Python %d.%d or newer is needed and %s; "
            "install one, or name it: make PYTHON=/path/to/python3" % (OLDEST + (found,))
        )
    install = os.path.join(os.path.dirname(os.path.abspath(__file__)), "install.py")
    sys.exit(subprocess.call([python, install]))


def find_python():  # type: () -> str | None
    """Give the Python named by PYTHON alone; else the one that runs this, else one on the path."""
    own = os.environ.get("PYTHON")
    if own:
        return own if is_new_enough(own) else None
    if sys.version_info >= OLDEST:
        return sys.executable
    return next((name for name in NAMES if is_new_enough(name)), None)


def is_new_enough(python):  # type: (str) -> bool
    """Say whether `python` runs and is new enough; a name on the path may be an empty shim."""
    with open(os.devnull, "r+") as nothing:
        try:
            code = subprocess.call(
                [python, "-c", CHECK], stdin=nothing, stdout=nothing, stderr=nothing
            )
        except OSError:
            return False
    return code == 0


if __name__ == "__main__":
    main()
