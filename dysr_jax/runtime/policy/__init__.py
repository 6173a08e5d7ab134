"""Which member makes the next frame. base: the interface and the fixed policy; adaptive: the default one;
load: a policy from what a user types; simulation: a stream without a device.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.runtime.policy.adaptive import AdaptivePolicy
    from dysr_jax.runtime.policy.base import (
        CheckedPolicy,
        FixedPolicy,
        MemberTiming,
        Observation,
        Policy,
        sort_timings,
    )
    from dysr_jax.runtime.policy.load import load_policy
    from dysr_jax.runtime.policy.simulation import score, simulate
