"""Exceptions that a caller can act on."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip()


class InputError(ValueError):
    """An argument that cannot be used: one line names it, its value and what it must be.

    The command line prints it and exits with 2.
    """


class LostProcessError(RuntimeError):
    """Another process of the job ended or cannot be reached; started again, all go on with the run.

    The command line prints one line and exits with 1.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"another process of the job ended or cannot be reached ({reason}); start all of them "
            f"again with the same command, the run goes on"
        )
