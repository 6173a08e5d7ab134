"""A page that upscales in the browser. write: its folder, of assets/ and a bundle's members as ONNX models;
clip: the short film that it plays; browser_runtime: onnxruntime-web, copied beside the page or from a CDN.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.apps.demo.write import write_demo
