"""The one exception that bad input raises."""


class InputError(ValueError):
    """Something a caller gave cannot be used.

    The message is one line that names the argument, the value and what is allowed. The command line
    prints it and exits with 2; Python code sees a `ValueError`.
    """
