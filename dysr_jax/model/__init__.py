"""The supernet: convolutions, branches, shared kernels, upsamplers, the Linen module, its programs."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.model.branches import (
        BODY,
        Bottleneck,
        Branch,
        Conv,
        Identity,
        ResidualPair,
        Separable,
        register,
    )
    from dysr_jax.model.conv import conv2d
    from dysr_jax.model.kernels import Kernels, KernelSpec, cut, cut_all, stack, union
    from dysr_jax.model.programs import (
        Output,
        check_output,
        compile_static,
        compiler_options,
        compute_dtype,
        frame_program,
        frame_spec,
        lower_static,
        make_supernet,
        served_dtype,
    )
    from dysr_jax.model.sharing import (
        changed_slots,
        compact,
        ensemble_weight_bytes,
        held_branches,
        kept_branches,
        shared_weight_bytes,
        step_costs,
        union_weight_bytes,
        unshared_weight_bytes,
    )
    from dysr_jax.model.space import (
        Arch,
        SearchSpace,
        alone,
        arch_name,
        arch_names,
        branch_mult_adds,
        canonical_name,
        counts,
        crossover,
        largest,
        mult_adds,
        mutate,
        parameters,
        parse_arch,
        sample,
        sample_plain,
        size,
        smallest,
        to_archs,
        uniform,
        validate,
    )
    from dysr_jax.model.stages import Key, Part, Shape, branch_part, head_part
    from dysr_jax.model.supernet import (
        Kept,
        Params,
        Supernet,
        add_skip,
        arch_params,
        head,
        head_kernels,
        init_params,
        not_kept,
        run_branch,
        slot_name,
        stored_kernels,
    )
    from dysr_jax.model.upsamplers import UPSAMPLERS, SubPixel, pixel_shuffle
    from dysr_jax.model.weights import SUPERNET, from_bytes, load_supernet, same_params, to_bytes
