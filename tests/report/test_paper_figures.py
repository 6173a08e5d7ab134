"""The files: which there are, how large, and what is said of a run that lacks something."""

import pathlib
import shutil
import xml.etree.ElementTree as ET

import matplotlib
import pytest
from etils import epath
from PIL import Image

import dysr_jax
import dysr_jax.report
from dysr_jax import cli
from dysr_jax.errors import InputError

COLUMN = {"training", "candidates", "hypervolume", "members", "memory", "latency", "switch"}
PAGE = {"strips", "comparison", "timeline_adaptive"}


@pytest.fixture(scope="module")
def written(whole_run, tmp_path_factory):
    return dysr_jax.report.write_figures(whole_run, tmp_path_factory.mktemp("out") / "figures")


def test_a_pair_of_files_for_every_figure(written):
    names = [pathlib.Path(path).name for path in written.paths]
    assert sorted(names) == sorted(f"{n}.{kind}" for n in COLUMN | PAGE for kind in ("png", "svg"))
    folder = pathlib.Path(written.paths[0]).parent
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert written.missing == []


@pytest.mark.parametrize(("names", "inches"), [(COLUMN, 3.3), (PAGE, 6.9)])
def test_they_are_as_wide_as_a_column_or_a_page(written, names, inches):
    folder = pathlib.Path(written.paths[0]).parent
    for name in names:
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width == round(300 * inches)
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        root = ET.parse(folder / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.get("width").removesuffix("pt")) == pytest.approx(72 * inches)


def test_the_command_draws_the_same_whatever_the_users_settings(written, whole_run, tmp_path, capsys):
    out, folder = tmp_path / "report.html", tmp_path / "deep" / "er"
    args = ["report", str(whole_run), "--out", str(out), "--figures", str(folder)]
    with matplotlib.rc_context({"font.size": 20, "savefig.transparent": True, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        assert cli.main(args) == 0
        assert dict(matplotlib.rcParams) == before
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == str(out)
    for old, new in zip(written.paths, lines, strict=True):
        assert pathlib.Path(new) == folder / pathlib.Path(old).name
        assert pathlib.Path(old).read_bytes() == pathlib.Path(new).read_bytes(), new


def test_an_unfinished_run_is_drawn_as_far_as_it_came(whole_run, tmp_path):
    run = pathlib.Path(shutil.copytree(whole_run, tmp_path / "run"))
    for name in ("pareto.json", "switch.json", "steady.json"):
        (run / name).unlink()
    shutil.rmtree(run / "comparison")
    found = dysr_jax.report.write_figures(run, tmp_path / "figures")
    names = {pathlib.Path(path).stem for path in found.paths}
    assert names == {"training", "candidates", "hypervolume", "latency"}
    assert len(found.missing) == 4
    assert any("not finished" in line for line in found.missing)


def test_into_a_bucket(whole_run, bucket, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "latency.json"):
        shutil.copy(whole_run / name, run)
    paths = dysr_jax.report.write_figures(run, f"{bucket}/figures").paths
    assert len(paths) == 2
    assert {epath.Path(path) for path in paths} == {*epath.Path(f"{bucket}/figures").iterdir()}


def test_the_command_line_says_what_is_not_there(whole_run, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(whole_run / "config.json", run)
    assert cli.main(["report", str(run), "--figures", str(tmp_path / "figures")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(run / "report.html")
    assert len(lines) > 5 and all(line.startswith("no figure of ") for line in lines[1:])


def test_a_folder_that_is_a_file(whole_run, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"figures '.*file' cannot be written: File exists"):
        dysr_jax.report.write_figures(whole_run, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_no_run(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        dysr_jax.report.write_figures(tmp_path, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
