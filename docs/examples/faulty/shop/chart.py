"""Turnover as a picture."""

from pathlib import Path


def draw(totals: list[int], file: Path) -> None:
    """Draw it."""
    # FAULT (PKG001): pyplot keeps the current figure for the whole process: two threads draw into one picture.
    from matplotlib import pyplot as plt

    plt.plot(totals)
    plt.savefig(file)
