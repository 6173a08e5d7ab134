"""What `dysr COMMAND` can be told and does: a dataclass a command, whose fields are the options."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.commands.failures import describe, quiet_threads
    from dysr_jax.commands.parsing import command, usage
    from dysr_jax.commands.signals import Received, TerminatedError, interruptible
    from dysr_jax.commands.terminal import output
