"""What a search leaves: weights and a manifest. Data only; `runtime` runs it."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bundle.bundle import (
        LATENCY,
        Bundle,
        Member,
        check_bundle,
        load_bundle,
        make_bundle,
        make_member,
        save_bundle,
    )
    from dysr_jax.bundle.manifest import MANIFEST
    from dysr_jax.bundle.pretrained import PLACE, find_bundle
    from dysr_jax.bundle.steps import Step, member_steps
