"""Numbers of things in words."""


def counted(number: int, one: str, more: str = "") -> str:
    """``1 job waits``, ``3 jobs wait``; ``more`` may be left out where it is the same with an s."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"
