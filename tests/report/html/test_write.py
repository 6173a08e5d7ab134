"""The page as a file: what is in it, how large it gets, where it is written."""

import io
import json
import os
import pathlib
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from dysr_jax import run, write_report
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.cli import main
from dysr_jax.commands.parsing import COMMANDS
from dysr_jax.config import RunConfig
from dysr_jax.errors import InputError
from dysr_jax.model.space import arch_mult_adds, arch_parameters
from dysr_jax.report.html import content
from dysr_jax.report.html.content import Packer
from dysr_jax.report.html.write import SCRIPTS, _plotly, render
from dysr_jax.report.rundata import SteadyStream, read_run
from dysr_jax.runtime.trace import FrameRecord, Trace

ASSETS = pathlib.Path(content.__file__).parent / "assets"


@pytest.fixture(scope="module")
def page(report):
    return report.read_text(encoding="utf-8")


def test_the_run_ends_with_its_report(tiny_run, page):
    own = (tiny_run.path / "report.html").read_text(encoding="utf-8")
    assert own.startswith("<!doctype html>") and len(own) < len(page)
    assert f"  {tiny_run.path / 'report.html'}" in tiny_run.lines[-1]


def test_the_page_is_one_file(page):
    assert "@@" not in page
    ours = page.replace((ASSETS / "page.html").read_text(), "")
    assert "default-src 'none'" in ours
    head, _, _ = page.partition('id="plotly-packed"')
    for mark in ("http:", "https:", "src=", "@import", "url("):
        assert mark not in head.replace('img id="', "")
    for script in SCRIPTS:
        source = (ASSETS / f"{script}.js").read_text()
        assert source in page
        assert "http" not in source and "fetch(" not in source
    assert {f"{name}.js" for name in SCRIPTS} == {file.name for file in ASSETS.glob("*.js")}


def test_the_page_says_what_the_run_has(tiny_run, page, packed):
    found, data = packed(page), read_run(tiny_run.path)
    space, candidates = data.space, data.candidates
    count = len(candidates.psnr_y)
    shown = found["candidates"]
    genes = shown["genes"].reshape(len(space.slots), count).T
    assert genes.tolist() == candidates.genes.tolist()
    archs = [tuple(arch) for arch in genes.tolist()]
    assert shown["params"].tolist() == [arch_parameters(space, arch) for arch in archs]
    assert shown["mult_adds"] == pytest.approx([arch_mult_adds(space, arch) for arch in archs])
    for name in ("psnr_y", "latency_ms", "generation", "feasible"):
        assert shown[name] == pytest.approx(getattr(candidates, name).astype(float))
    assert shown["front"] == candidates.front.tolist()
    for member, kept in zip(found["results"]["members"], tiny_run.bundle.members, strict=True):
        assert (member["name"], member["psnr_y"]) == (kept.name, kept.psnr_y)
        assert archs[member["row"]] == kept.arch
    assert found["results"]["steps"] == [step.to_json() for step in tiny_run.bundle.steps]
    assert [curve["name"] for curve in found["training"]] == list(data.training)
    for curve in found["training"]:
        assert curve["value"] == pytest.approx(data.training[curve["name"]].value, rel=1e-6)


def test_the_page_draws_where_the_time_went(tiny_run, tiny, page, packed):
    found, written = packed(page)["clock"], json.loads((tiny_run.path / "pareto.json").read_text())["clock"]
    assert found["generation"] == list(range(tiny.search.generations))
    assert found["total"] == pytest.approx(written["seconds"])
    assert found["evaluated"] == written["evaluated"]
    between = sum(sum(seconds) for seconds in found["parts"].values())
    outside = sum(
        sum(lap.seconds.__dict__.values())
        for stage, lap in read_run(tiny_run.path).laps.by_stage.items()
        if isinstance(stage, str)
    )
    assert between + outside == pytest.approx(written["total"])
    assert 'id="clock-plot"' in page


def test_the_page_draws_how_well_the_surrogate_ranked(guided_run, guided_taus, page, tmp_path, packed):
    assert packed(page)["taus"] is None
    found = packed(pathlib.Path(write_report(guided_run, tmp_path / "page.html")).read_text("utf-8"))["taus"]
    assert found["generation"] == list(guided_taus) == [1, 2]
    assert found["tau"] == pytest.approx([*guided_taus.values()])
    assert len({*found["tau"], 0.0, 1.0}) == 4


def test_the_width_is_a_gene_of_the_page(elastic_run, tmp_path, packed):
    found = packed(pathlib.Path(write_report(elastic_run, tmp_path / "page.html")).read_text("utf-8"))
    assert found["genes"][1:] == [["id", "c3", "r1"], ["u1", "u2"], ["w4", "w8"]]
    assert found["gene_names"] == ["slot00", "slot01", "upsampler", "width"]
    assert found["space_size"] == 3 * 3 * 2 * 2
    data, shown = read_run(elastic_run), found["candidates"]
    archs = shown["genes"].reshape(4, shown["count"]).T
    assert archs.tolist() == data.candidates.genes.tolist()
    space = data.space
    assert shown["params"].tolist() == [arch_parameters(space, tuple(arch)) for arch in archs.tolist()]
    assert [member["name"] for member in found["results"]["members"]][-2:] == ["w8-c3-id-u1", "w8-c3-r1-u2"]
    changed = [[change["name"] for change in step["slots"]] for step in found["results"]["steps"]]
    assert changed == [["slot00"], ["width"], ["slot01", "upsampler"]]


def test_the_pictures_of_the_page(tiny_run, page, packed):
    found, kept = packed(page)["comparison"], read_run(tiny_run.path).comparison
    assert [p["name"] for p in found["pictures"]] == list(kept.pictures)
    assert [p["psnr_y"] for p in found["pictures"]] == [kept.psnr_y.get(n) for n in kept.pictures]
    for picture in found["pictures"]:
        with Image.open(io.BytesIO(picture["file"].tobytes())) as image:
            pixels, exact = np.asarray(image.convert("RGB")), kept.pictures[picture["name"]]
        assert pixels.shape == exact.shape
        assert np.abs(pixels.astype(int) - exact).mean() < 3


@pytest.mark.parametrize("most", [10**9, 40_000, 0])
def test_pictures_keep_to_their_bytes(most):
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(120, 120, 3)), 0), 1)
    noise = rng.integers(0, 256, (120, 120, 3))
    given = [((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8), noise.astype(np.uint8)]
    files, how = content.encode_pictures(given, most)
    decoded = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    if most > 10**6:
        assert how == "lossless"
        assert all(np.array_equal(a, b) for a, b in zip(given, decoded, strict=True))
    elif most:
        assert sum(map(len, files)) <= most and how.startswith("WebP, quality")
    else:
        assert how == f"WebP, quality {content.QUALITIES[-1]}"


def test_packing():
    packer = Packer()
    bytes_, floats = packer.add([1, 2, 3], "uint8"), packer.add(np.array([0.5, -1.0]))
    assert (bytes_, floats) == ({"array": 0}, {"array": 1})
    assert packer.pack({"a": bytes_}) == packer.pack({"a": bytes_})
    with pytest.raises(ValueError, match="not JSON compliant"):
        packer.pack(float("nan"))


def test_of_too_many_candidates_front_and_members_are_drawn(tiny_run, monkeypatch, packed):
    monkeypatch.setattr(content, "MOST_CANDIDATES", 3)
    found, data = packed(render(read_run(tiny_run.path))), read_run(tiny_run.path)
    shown = found["candidates"]
    assert shown["evaluated"] == len(data.candidates.psnr_y) > shown["count"]
    kept = shown["psnr_y"][shown["front"]]
    assert kept == pytest.approx(data.candidates.psnr_y[data.candidates.front])
    genes = shown["genes"].reshape(-1, shown["count"]).T
    for member in found["results"]["members"]:
        assert genes[member["row"]].tolist() == list(member["arch"])


def test_a_long_stream_is_thinned_and_keeps_its_late_frames(monkeypatch):
    frames = [FrameRecord(i, i / 30, i / 30, i / 30 + 0.01, 10.0, "a", i % 500 == 7, 0) for i in range(3000)]
    stream = SteadyStream("one", Trace(30.0, True, {"a": 27.0}, frames), [], None)
    monkeypatch.setattr(content, "MOST_FRAMES", 100)
    packer = Packer()
    found = content.stream_json(stream, packer)
    assert 100 <= found["shown"] <= 106
    assert found["summary"]["frames"] == 3000 and found["summary"]["late"] == 6
    empty = SteadyStream("none", Trace(30.0, True, {"a": 27.0}, []), [], None)
    assert content.stream_json(empty, packer)["shown"] == 0


def test_a_run_of_many_candidates_stays_small(long_run, tmp_path):
    """As many candidates of 20 slots as a page draws, drawn at random: real ones compress better."""
    short = write_report(long_run, tmp_path / "short.html").stat().length
    archive = long_run / "archive.jsonl"
    each = (short - len(_plotly())) / len(archive.read_text().splitlines())
    assert len(_plotly()) + each * content.MOST_CANDIDATES + 4 / 3 * content.MOST_BYTES < 6e6


def test_an_image_of_ones_own(tiny_run, tmp_path, packed):
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 256, (9, 15, 3), dtype=np.uint8), 5, 0), 5, 1)
    Image.fromarray(image).save(tmp_path / "mine.png")
    page = write_report(tiny_run.path, tmp_path / "a.html", image=tmp_path / "mine.png")
    found = packed(page.read_text(encoding="utf-8"))["comparison"]
    assert (found["image"], found["size"], found["encoded"]) == ("mine.png", [44, 74], "lossless")
    shown = {
        picture["name"]: np.asarray(Image.open(io.BytesIO(picture["file"].tobytes())))
        for picture in found["pictures"]
    }
    assert np.array_equal(shown["HR"], image[:44, :74])
    best = tiny_run.bundle.members[-1].name
    assert np.array_equal(shown[best], Upscaler(tiny_run.bundle)(shown["LR"]))


def test_images_that_cannot_be(tiny_run, begun, tmp_path):
    Image.new("RGB", (5, 50)).save(tmp_path / "thin.png")
    for path, said in (("thin.png", "at least 6 pixels a side"), ("gone.png", "gone.png")):
        with pytest.raises(InputError, match=said):
            write_report(tiny_run.path, tmp_path / "a.html", image=tmp_path / path)
    with pytest.raises(InputError, match="not finished"):
        write_report(begun, image=tmp_path / "thin.png")
    assert not (tmp_path / "a.html").exists()


# --- where it is written ----------------------------------------------------------------------------


@pytest.fixture
def begun(tiny_run, tmp_path):
    """A run that only began."""
    (tmp_path / "run").mkdir()
    shutil.copy(tiny_run.path / "config.json", tmp_path / "run")
    return tmp_path / "run"


def test_the_command(begun, capsys):
    assert main(["report", str(begun)]) == 0
    assert capsys.readouterr().out.strip() == str(begun / "report.html")
    assert main(["report", str(begun)]) == 0  # an older report of the run is replaced
    out = begun.parent / "mine.html"
    assert main(["report", str(begun), "--out", str(out)]) == 0
    out.write_text("old")
    capsys.readouterr()
    assert main(["report", str(begun), "--out", str(out)]) == 2
    assert "exists; allowed with --overwrite" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert main(["report", str(begun), "--out", str(out), "--overwrite"]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_run_whose_name_is_not_utf_8(begun):
    odd = begun.rename(begun.with_name("caf\udce9"))
    assert r"caf\udce9" in write_report(odd).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("out", "said"), [("page.png", r"must be a \.html file"), ("gone/page.html", "a folder that exists")]
)
def test_places_that_cannot_be(begun, out, said):
    with pytest.raises(InputError, match=said):
        write_report(begun, begun.parent / out)
    assert not (begun.parent / out).exists()


def test_a_place_that_cannot_be_written_to(begun):
    (begun / "report.html").mkdir()
    with pytest.raises(InputError, match=r"cannot be written: .*is a directory"):
        write_report(begun)
    assert {path.name for path in begun.iterdir()} == {"config.json", "report.html"}


def test_a_report_that_cannot_be_written_does_not_end_a_run(begun, monkeypatch):
    (begun / "report.html").mkdir()
    monkeypatch.setattr(run, "summarise", lambda *_, **__: None)
    lines = []
    run._tell(
        types.SimpleNamespace(
            run=begun, images=types.SimpleNamespace(validation=[None]), log=lines.append, config=RunConfig()
        ),
        None,
    )
    (line,) = lines
    assert line.startswith("no report: out ") and "is a directory" in line


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dysr: error: run ") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_report_in_a_bucket(begun, bucket):
    from etils import epath

    (epath.Path(bucket) / "run").mkdir()
    (epath.Path(bucket) / "run" / "config.json").write_text((begun / "config.json").read_text())
    out = write_report(f"{bucket}/run")
    assert os.fspath(out) == f"{bucket}/run/report.html"
    assert out.read_text() == render(read_run(f"{bucket}/run"))


def test_names_cannot_become_markup(begun, packed):
    page = render(read_run(begun.rename(begun.parent / "<b>&amp;@@data@@")))
    assert "<title>DySR run &lt;b&gt;&amp;amp;@@data@@</title>" in page
    assert packed(page)["name"] == "<b>&amp;@@data@@"


def test_the_command_is_listed():
    assert "one HTML file" in COMMANDS["report"].__doc__
