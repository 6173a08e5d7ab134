"""What a search leaves: weights and a manifest, data only. bundle: the members over their shared weights, and
their directory; members: a member and its figures, and steps; manifest: files and digests; pretrained: ours.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bundle.bundle import (
        LATENCY_FILE,
        Bundle,
        check_bundle,
        load_bundle,
        make_bundle,
        merge_bundles,
        save_bundle,
    )
    from dysr_jax.bundle.manifest import MANIFEST_FILE
    from dysr_jax.bundle.members import Member, Step, make_member, member_steps
    from dysr_jax.bundle.pretrained import PRETRAINED_FOLDER, find_bundle, load_pretrained, pretrained_names
