"""Executables made ahead of time. static: of static programs, whole or a stage; tuning: the fastest form of
them; executables: kept on disk, in private_files, by what fingerprint tells of program, device and versions;
accounting: their bytes, and how many were compiled. onnx_graph: the same sub-graphs as ONNX models; sessions:
those in ONNX Runtime.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.aot.accounting import Memory, count_compilations, tree_bytes
    from dysr_jax.aot.executables import (
        DEFAULT_CACHE,
        Executable,
        ExecutableCache,
        compiled_executable,
        executables_memory,
    )
    from dysr_jax.aot.fingerprint import Parts, branches_digest, lowered_digest
    from dysr_jax.aot.onnx_graph import FrameModel, Precision, frame_model, import_extra, picture_model
    from dysr_jax.aot.sessions import (
        CPU_PROVIDER,
        ONNX_RUNTIME,
        Session,
        WeightPool,
        backend_name,
        find_provider,
    )
    from dysr_jax.aot.static import Compile, compile_now, stage_executable, static_executable, tune_static
