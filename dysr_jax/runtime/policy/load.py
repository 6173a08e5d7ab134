"""From what a user types to a policy."""

from typing import Any, Final

from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.runtime.policy.adaptive import AdaptivePolicy
from dysr_jax.runtime.policy.base import FixedPolicy, Policy
from dysr_jax.user_modules import import_user_module

ALLOWED: Final = (
    "adaptive; fixed:MEMBER, also fixed:fastest and fixed:best; MODULE:ATTRIBUTE, a policy of yours"
)


def load_policy(text: str) -> Policy[Any]:
    """The policy that a user names on the command line, else an InputError.

    `text` is `adaptive`, `fixed:MEMBER` or `MODULE:ATTRIBUTE`: a policy, or a class of policies that needs no
    arguments. `import_user_module` imports it: its code runs.
    """
    kind, _, name = text.partition(":")
    if text == "adaptive":
        return AdaptivePolicy()
    require(bool(kind and name), "policy", text, ALLOWED)
    return FixedPolicy(name) if kind == "fixed" else _user_policy(text, kind, name)


def _user_policy(text: str, module: str, name: str) -> Policy[Any]:
    imported = import_user_module(module, f"policy {text!r}")
    if not hasattr(imported, name):
        raise InputError(f"policy {text!r}: module {module!r} has no {name!r}")
    found = getattr(imported, name)
    try:
        found = found() if isinstance(found, type) else found
    except TypeError as error:
        why = f"the class needs arguments ({error}); name an instance of it"
        raise InputError(f"policy {text!r}: {why}") from error
    if not (callable(found) and callable(getattr(found, "start", None))):
        has = "a policy has start(timings, deadline_ms) and is called with (state, observation)"
        raise InputError(f"policy {text!r} is {found!r}: {has}")
    return found
