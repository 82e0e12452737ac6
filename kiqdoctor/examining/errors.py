"""What keeps an examination from being made as it was asked for."""


class AskedError(Exception):
    """What was asked for cannot be done, or contradicts itself; one line, which the command line words as it is."""
