"""Why a file of the application was read and not understood."""


class UnparsedError(ValueError):
    """A file that is not what its name says; one line says why, ``line`` where (0: nobody knows)."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line
