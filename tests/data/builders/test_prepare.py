"""Preparing: once, whole or not at all, after every image was looked at; and what is said of bad trees."""

import importlib.util
import shutil

import numpy as np
import pytest

import dysr_jax
import dysr_jax.data
from dysr_jax.cli import main
from dysr_jax.data.builders import prepare
from dysr_jax.data.builders import prepare as places
from dysr_jax.data.builders.prepare import list_prepared, prepared_root
from dysr_jax.data.config import DataConfig
from dysr_jax.data.images.read import read_image
from dysr_jax.data.images.write import write_image
from dysr_jax.data.sources import open_source
from dysr_jax.data.training import load_pairs
from dysr_jax.errors import InputError

NAME = "dysr_div2k/bicubic_x4"


def files_below(folder) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def prepare_div2k(div2k, **options):
    return dysr_jax.data.prepare_dataset(NAME, div2k, log=lambda line: None, **options)


def test_the_folder_is_made_once(div2k, prepared):
    lines: list[str] = []
    path = dysr_jax.data.prepare_dataset(NAME, div2k, log=lines.append)
    assert path == prepared / NAME / "1.0.0"
    assert "4 train, 2 validation images" in lines[0]
    before = {file: file.stat().st_mtime_ns for file in prepared.rglob("*")}
    shutil.rmtree(div2k)  # the second call does not look at it
    assert dysr_jax.data.prepare_dataset(NAME, log=lines.append) == path
    assert lines[1] == f"{NAME} is there: {path}"
    assert before == {file: file.stat().st_mtime_ns for file in prepared.rglob("*")}


def test_records_hold_the_bytes_of_the_files(div2k, prepared):
    import tensorflow_datasets as tfds

    path = prepare_div2k(div2k)
    raw = {key: tfds.decode.SkipDecoding() for key in ("hr", "lr")}
    records = tfds.builder_from_directory(path).as_data_source(split="train", decoders=raw)
    for record, number in zip(records, range(1, 5), strict=True):
        assert record["name"] == f"{number:04}.png".encode()
        assert record["hr"] == (div2k / f"DIV2K_train_HR/{number:04}.png").read_bytes()
        lr = div2k / f"DIV2K_train_LR_bicubic/X4/{number:04}x4.png"
        assert record["lr"] == lr.read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("No space left on device")])
def test_an_interrupted_build_leaves_nothing_that_counts(div2k, prepared, monkeypatch, error):
    from dysr_jax.data.builders.tfds_builders import BUILDERS

    whole = files_below(prepare_div2k(div2k, directory=prepared.parent / "other"))
    generate = BUILDERS["dysr_div2k"]._generate_examples

    def interrupted(builder, items):
        yield from list(generate(builder, items))[:2]
        raise error

    monkeypatch.setattr(BUILDERS["dysr_div2k"], "_generate_examples", interrupted)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else InputError
    with pytest.raises(expected, match=None if expected is KeyboardInterrupt else "No space left"):
        prepare_div2k(div2k)
    assert list_prepared() == []
    with pytest.raises(InputError, match="is not prepared"):
        open_source(f"tfds:{NAME}", 4)
    monkeypatch.undo()
    path = prepare_div2k(div2k, directory=prepared)
    assert files_below(path).keys() == whole.keys()
    assert {n: b for n, b in files_below(path).items() if "array_record" in n} == {
        n: b for n, b in whole.items() if "array_record" in n
    }


def test_a_build_that_runs_is_left_alone(div2k, prepared, monkeypatch):
    from dysr_jax.data.builders.tfds_builders import BUILDERS

    generate = BUILDERS["dysr_div2k"]._generate_examples

    def meanwhile(builder, items):
        with pytest.raises(InputError, match="is being written by another dysr command"):
            prepare_div2k(div2k)
        yield from generate(builder, items)

    monkeypatch.setattr(BUILDERS["dysr_div2k"], "_generate_examples", meanwhile)
    prepare_div2k(div2k)
    assert [found.name for found in list_prepared()] == [NAME]


def test_what_a_killed_build_left_is_removed(div2k, prepared):
    # Killed outright, TFDS leaves a folder of this name, which may even hold all of its files.
    finished = prepare_div2k(div2k)
    left = finished.parent / "incomplete.ABC123_1.0.0"
    finished.rename(left)
    assert list_prepared() == []
    assert prepare_div2k(div2k) == finished
    assert [path.name for path in finished.parent.iterdir()] == ["1.0.0"]


def test_records_in_several_files_keep_their_order(div2k, prepared, noise):
    import tensorflow_datasets as tfds

    from dysr_jax.data.builders.tfds_builders import BUILDERS

    # As TFDS itself is told to prepare it, from its manual folder.
    builder = BUILDERS["dysr_div2k"](config="hr", data_dir=prepared, file_format="array_record")
    config = tfds.download.DownloadConfig(manual_dir=div2k, num_shards=2)
    builder.download_and_prepare(download_config=config)
    assert len(list((prepared / "dysr_div2k/hr/1.0.0").glob("*train*"))) == 2
    source = open_source("tfds:dysr_div2k/hr", 4)
    assert [source[index].name for index in range(4)] == [f"{n:04}.png" for n in range(1, 5)]


def test_a_prepared_set_is_split_and_loaded_as_a_folder_is(div2k, prepared):
    prepare_div2k(div2k)
    config = DataConfig(source=f"tfds:{NAME}", validation=f"tfds:{NAME}:validation", patch=2)
    training, validation = load_pairs(config, 4)
    assert [pair.name for pair in training] == [f"{n:04}.png" for n in range(1, 5)]
    assert [pair.name for pair in validation] == ["0801.png", "0802.png"]
    for pair, place in (
        (training[0], "train_LR_bicubic/X4/0001x4"),
        (validation[0], "valid_LR_bicubic/X4/0801x4"),
    ):
        np.testing.assert_array_equal(pair.lr, read_image(div2k / f"DIV2K_{place}.png"))
    held = load_pairs(DataConfig(source=f"tfds:{NAME}", holdout=1, patch=2), 4)[1]
    np.testing.assert_array_equal(held[0].hr, training[2].hr)


def test_another_folder_is_named_by_the_config(div2k, tmp_path):
    prepare_div2k(div2k, directory=tmp_path / "elsewhere")
    config = DataConfig(source=f"tfds:{NAME}", directory=str(tmp_path / "elsewhere"), patch=2, holdout=1)
    assert len(load_pairs(config, 4)[0]) == 3


def test_the_default_folder_is_that_of_tfds(monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    from tensorflow_datasets.core.constants import get_default_data_dir

    assert str(prepared_root()) == get_default_data_dir()
    monkeypatch.setenv("TFDS_DATA_DIR", "/other")
    assert str(prepared_root()) == get_default_data_dir() == "/other"
    assert str(prepared_root("/third")) == "/third"
    with pytest.raises(InputError, match="'gs://bucket': must be a folder of this machine"):
        prepared_root("gs://bucket")


@pytest.mark.usefixtures("prepared")
class TestRefused:
    """Trees that are not prepared, and the one line that says why."""

    def refused(self, name, folder) -> str:
        with pytest.raises(InputError) as error:
            dysr_jax.data.prepare_dataset(name, folder)
        assert "\n" not in str(error.value)
        assert list_prepared() == []
        return str(error.value)

    def test_missing_folders_are_named_and_counted(self, div2k):
        said = self.refused("dysr_div2k/bicubic_x3", div2k)
        assert "2 of 4 folders are missing" in said
        assert "DIV2K_train_LR_bicubic/X3', " in said

    def test_many_missing_clips_are_counted(self, vimeo90k):
        (vimeo90k / "sep_trainlist.txt").write_text("\n".join(f"00009/{n:04}" for n in range(9)))
        said = self.refused("dysr_vimeo90k", vimeo90k)
        assert "9 of 10 folders are missing" in said
        assert "and 6 more" in said

    def test_images_without_a_partner(self, div2k):
        (div2k / "DIV2K_valid_LR_bicubic/X4/0802x4.png").unlink()
        assert "1 HR without LR: '0802.png'" in self.refused(NAME, div2k)

    def test_sizes_that_do_not_fit(self, div2k, noise):
        noise(div2k / "DIV2K_train_LR_bicubic/X4/0003x4.png", 4, 2)
        assert "0003x4.png': LR of 4x2 does not fit HR of 9x16" in self.refused(NAME, div2k)

    def test_unreadable_files_are_named_and_counted(self, div2k):
        for number in (1, 2, 3, 4):
            path = div2k / f"DIV2K_train_HR/{number:04}.png"
            path.write_bytes(path.read_bytes()[:-60])  # the header is good
        said = self.refused(NAME, div2k)
        assert "4 of 6 images cannot be used: '0001.png', '0002.png', '0003.png' and 1 more" in said
        assert "0001.png' cannot be read" in said

    def test_an_image_that_is_there_twice_in_another_format(self, div2k):
        image = read_image(div2k / "DIV2K_valid_HR/0801.png")
        write_image(div2k / "DIV2K_train_HR/0005.bmp", image)
        shutil.copy(
            div2k / "DIV2K_valid_LR_bicubic/X4/0801x4.png", div2k / "DIV2K_train_LR_bicubic/X4/0005x4.png"
        )
        said = self.refused(NAME, div2k)
        assert "duplicates, 1 in all: 'train/0005.bmp = validation/0801.png'" in said
        assert "--duplicates skip" in said
        prepare_div2k(div2k, duplicates="skip")
        assert len(open_source(f"tfds:{NAME}", 4)) == 4
        assert len(open_source(f"tfds:{NAME}:validation", 4)) == 2

    def test_two_files_of_one_stem(self, div2k, noise):
        noise(div2k / "DIV2K_train_HR/0001.bmp", 9, 16)
        assert "1 files have the name of another but for the suffix" in self.refused(NAME, div2k)

    def test_a_clip_that_lacks_a_frame(self, vimeo90k):
        (vimeo90k / "sequences/00002/0001/im4.png").unlink()
        said = self.refused("dysr_vimeo90k", vimeo90k)
        assert "1 clips have not 7 frames: '00002/0001 of 6'" in said

    def test_a_clip_whose_frames_are_of_two_sizes(self, vimeo90k, noise):
        noise(vimeo90k / "sequences/00002/0001/im4.png", 9, 9)
        said = self.refused("dysr_vimeo90k", vimeo90k)
        assert "1 clips have frames of several sizes: 'test 00002/0001'" in said

    @pytest.mark.parametrize("text", ["", "../../etc", "00001/0001 a/b"])
    def test_a_list_of_clips_that_is_none(self, vimeo90k, text):
        (vimeo90k / "sep_testlist.txt").write_text(text)
        assert "sep_testlist.txt'" in self.refused("dysr_vimeo90k", vimeo90k)

    def test_no_folder_at_all(self, tmp_path):
        assert "needs --from FOLDER, which holds DIV2K_train_HR" in self.refused(NAME, None)
        assert "none' : must be" in self.refused(NAME, tmp_path / "none").replace("':", "' :")

    def test_names_that_are_none(self, div2k):
        assert "must be one of dysr_div2k/bicubic_x4, " in self.refused("dysr_div2k/x8", div2k)
        assert "TFDS does not give it: Dataset nothing not found" in self.refused("nothing", None)

    def test_a_place_that_cannot_be_written_to(self, div2k, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"file/.*cannot be written: Not a directory"):
            prepare_div2k(div2k, directory=tmp_path / "file")

    @pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="it is there")
    def test_the_catalogue_needs_tensorflow(self, div2k):
        said = self.refused("div2k/bicubic_x4", None)
        assert "needs TensorFlow (pip install 'dysr_jax[tensorflow]')" in said
        assert "is of TFDS's catalogue, which downloads" in self.refused("div2k", div2k)
        with pytest.raises(InputError, match=r"not prepared.*needs TensorFlow \(pip install"):
            open_source("tfds:div2k/bicubic_x4", 4)

    def test_a_platform_without_array_record(self, div2k, monkeypatch):
        monkeypatch.setattr(places.importlib.util, "find_spec", lambda name: None)
        assert "needs array_record, which is not installed" in self.refused(NAME, div2k)


def test_the_catalogue_is_prepared_where_tensorflow_is(prepared, monkeypatch, tmp_path, noise):
    """With a data set in the catalogue's way in place of one that would be downloaded."""
    import tensorflow_datasets as tfds

    images = [noise(tmp_path / f"{number}.png") for number in range(5)]

    class Photographs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("2.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"test": ((n, {"image": tmp_path / f"{n}.png"}) for n in range(5))}

        def _generate_examples(self):
            raise NotImplementedError

    monkeypatch.setattr(prepare, "_needs_tensorflow", lambda: "")
    dysr_jax.data.prepare_dataset("photographs", log=lambda line: None)
    source = open_source("tfds:photographs", 4)
    assert list(source.names) == [f"test[{number}]" for number in range(5)]
    # TFDS shuffles by a hash: all images, in an order of its own that stays.
    found = [source[index].hr for index in range(5)]
    assert sorted(map(bytes, found)) == sorted(map(bytes, images))
    assert source.sizes is None  # only decoding would tell
    assert [source[index].name for index in range(5)] == list(source.names)


def test_the_command_line(div2k, prepared, capsys):
    assert main(["data", "list"]) == 0
    assert "prepared: none" in capsys.readouterr().out
    assert main(["data", "prepare", NAME, "--from", str(div2k)]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert "check: 100%" in printed.err
    assert "write: 100%" in printed.err
    assert main(["data", "prepare", NAME]) == 0
    assert "is there" in capsys.readouterr().out
    assert main(["data", "list", "--data-dir", str(prepared)]) == 0
    assert f"{NAME}  4 train, 2 validation  {prepared}" in capsys.readouterr().out
    assert main(["data", "prepare", "dysr_set5", "--from", str(div2k)]) == 2
    assert capsys.readouterr().err.startswith("dysr: error: data set 'dysr_set5' in '")
    assert main(["data", "--help"]) == 0


def test_ctrl_c_on_the_command_line(div2k, prepared, monkeypatch, capsys):
    monkeypatch.setattr(prepare, "check_images", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    left = []
    monkeypatch.setattr("dysr_jax.cli.abandon", lambda code: left.append(code) or code)
    assert main(["data", "prepare", NAME, "--from", str(div2k)]) == 130
    assert "interrupted; nothing half is left" in capsys.readouterr().err
    assert left == [130]
