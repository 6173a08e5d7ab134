"""Which member makes the next frame."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.runtime.policy.adaptive import AdaptivePolicy
    from dysr_jax.runtime.policy.base import FixedPolicy, Observation, Policy, Rung, checked, sort_rungs
    from dysr_jax.runtime.policy.load import load_policy
    from dysr_jax.runtime.policy.simulation import score, simulate
