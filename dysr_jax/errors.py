"""The exceptions that a caller can do something about."""


class InputError(ValueError):
    """Something a caller gave cannot be used.

    The message is one line that names the argument, the value and what is allowed. The command line
    prints it and exits with 2; Python code sees a `ValueError`.
    """


class LostProcessError(RuntimeError):
    """Another process of a job of several ended or cannot be reached, so this one cannot go on.

    Nothing is wrong with what was given: started again, all processes go on with the run. The command
    line prints one line and exits with 1.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"another process of the job ended or cannot be reached ({reason}); start all of them "
            f"again with the same command, the run goes on"
        )
