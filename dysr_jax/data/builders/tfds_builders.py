"""TFDS's builders of the data sets; importing this module registers them, so that `tfds.load` knows them.

A record is an image: `name`, `hr` and, where the config has LR images, `lr`, each the bytes of the
publisher's file. Records are stored in the order of their names, frames of a clip one after the other,
and their names and sizes beside them in the set's metadata.
"""

import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar, Final, TextIO

import tensorflow_datasets as tfds
from tqdm import tqdm

from dysr_jax.data.builders.check import Item, Tree, check_images, find_images
from dysr_jax.data.builders.datasets import DATASETS


class _FolderBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builds what `DATASETS` says of the class's name."""

    VERSION: ClassVar[Any] = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS: ClassVar[str] = "The folder as its publisher ships it, unpacked."
    tree: Tree | None = None  # the images, where they were checked before
    terminal: TextIO | None = None  # where progress is shown; None for stderr

    def _info(self) -> Any:
        known = DATASETS[self.name]
        scale = known.configs[self.builder_config.name]
        image = tfds.features.Image()
        features = {"name": tfds.features.Text(), "hr": image, **({"lr": image} if scale else {})}
        told = {"description": known.about, "homepage": known.homepage, "disable_shuffling": True}
        stored, metadata = tfds.features.FeaturesDict(features), tfds.core.MetadataDict(scale=scale)
        return tfds.core.DatasetInfo(builder=self, features=stored, metadata=metadata, **told)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        tree, known = self.tree, DATASETS[self.name]
        if tree is None:
            scale, root = known.configs[self.builder_config.name], pathlib.Path(dl_manager.manual_dir)
            tree = check_images(find_images([*known.layout(root, scale)], scale), scale)
        self.info.metadata["names"] = {s: [item.name for item in tree[s]] for s in tree}
        self.info.metadata["sizes"] = {s: [item.size for item in tree[s]] for s in tree}
        return {split: self._generate_examples(items) for split, items in tree.items()}

    def _generate_examples(self, items: list[Item]) -> Iterator[tuple[int, dict[str, Any]]]:
        shown = tqdm(items, desc="write", unit="image", file=self.terminal, position=0)
        for number, item in enumerate(shown):
            lr = {"lr": item.lr.read_bytes()} if item.lr else {}
            yield number, {"name": item.name, "hr": item.hr.read_bytes(), **lr}


BUILDERS: Final[dict[str, Any]] = {}


def builder_class(name: str) -> Any:
    """The class of a name in `DATASETS`; TFDS knows it from here on, by its name's snake case."""
    if name not in BUILDERS:
        configs = [tfds.core.BuilderConfig(name=config) for config in DATASETS[name].configs]
        fields = {"__doc__": DATASETS[name].about, "__module__": __name__, "BUILDER_CONFIGS": configs}
        BUILDERS[name] = type("".join(map(str.capitalize, name.split("_"))), (_FolderBuilder,), fields)
    return BUILDERS[name]


for _name in DATASETS:
    builder_class(_name)
