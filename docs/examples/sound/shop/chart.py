"""Turnover as a picture."""

from pathlib import Path


def draw(totals: list[int], file: Path) -> None:
    """A figure of its own: nothing in it is shared with what other threads draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot(totals)
    FigureCanvasAgg(figure).print_png(file)
