"""Members as files that other programs load.

formats: which members, under which names; onnx_files: ONNX, in int8 too; stablehlo: the frame program for
XLA's runtimes; tensors: the weights of one member, with a page that names them.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.apps.exporting.formats import FORMATS, Exported, export
