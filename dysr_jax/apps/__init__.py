"""Programs for a user over a bundle's members. upscaler: an image of any kind; tiles: frames of any size;
files: image files and folders; output_paths: what outputs are called; evaluation: scores; videos: streams;
exporting: files for other programs; demo: a page that upscales in the browser.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.apps.demo.write import write_demo
    from dysr_jax.apps.evaluation import BICUBIC, SetScores, evaluate_folder, evaluate_set
    from dysr_jax.apps.files import Written, upscale_files
    from dysr_jax.apps.upscaler import Upscaler
    from dysr_jax.apps.videos import VideoOptions, frames_in_flight, stream_video, stream_videos
