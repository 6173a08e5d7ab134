"""The supernet.

`space` and `names` say what can be chosen; `branches`, `upsamplers` and their `kernels` what is
computed, by the convolutions of a `backend` (`conv` is the default one) or, in other runtimes, by
`operations`; `planes` is how videos hold frames; `supernet` is the Linen module, and `masked` runs branches
of many archs at once; `programs` are compiled, whole, in `bands` of rows or in stages; `sharing` and
`weights` are its parameters, in memory and on disk.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.model.backend import XLA, LayerBackend, XlaLayers, layer_backend, register_backend
    from dysr_jax.model.bands import Bands, can_band
    from dysr_jax.model.branches import (
        BODY,
        Bottleneck,
        Branch,
        Conv,
        Identity,
        Plain,
        ResidualPair,
        Separable,
        Stack,
        register_branch,
    )
    from dysr_jax.model.conv import conv2d
    from dysr_jax.model.kernels import (
        Kernels,
        KernelSpec,
        cast_kernels,
        cut_kernel,
        cut_kernels,
        stack_kernels,
        union_specs,
    )
    from dysr_jax.model.masked import branch_families, run_masked
    from dysr_jax.model.names import arch_name, arch_names, canonical_name, parse_arch
    from dysr_jax.model.operations import Operations, build_subpixels, conv_layout
    from dysr_jax.model.planes import (
        BT601,
        BT709,
        LEFT,
        RGB,
        SITINGS,
        WEIGHTS,
        Frame,
        FrameFormat,
        Orientation,
        PlaneFormat,
        orient,
        read_frame,
        write_frame,
    )
    from dysr_jax.model.programs import (
        Form,
        Output,
        Shape,
        StageKey,
        StageProgram,
        branch_part,
        check_output,
        compile_static,
        compiler_options,
        compute_dtype,
        frame_program,
        frame_spec,
        head_part,
        lower_static,
        make_supernet,
        served_dtype,
    )
    from dysr_jax.model.sharing import (
        changed_slots,
        compact_params,
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
        arch_mult_adds,
        arch_parameters,
        arch_width,
        at_width,
        branch_mult_adds,
        crossover,
        gene_counts,
        largest_arch,
        mutate,
        rows_by_width,
        sample_archs,
        sample_plain_archs,
        single_arch_space,
        smallest_arch,
        space_size,
        to_archs,
        uniform_space,
        validate_arch,
        width_genes,
        with_width,
    )
    from dysr_jax.model.supernet import (
        Kept,
        Params,
        Supernet,
        add_skip,
        arch_params,
        cut_params,
        gene_names,
        head_kernels,
        init_params,
        narrow_supernet,
        not_kept,
        run_branch,
        run_head,
        slot_name,
        stored_kernels,
        to_image,
    )
    from dysr_jax.model.upsamplers import UPSAMPLERS, SubPixel, pixel_shuffle
    from dysr_jax.model.weights import (
        SUPERNET_FILE,
        load_supernet,
        params_from_bytes,
        params_to_bytes,
        same_params,
    )
