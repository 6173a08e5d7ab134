"""Publishers' folders in small, as they are when unpacked."""

import pathlib

import pytest


@pytest.fixture
def div2k(tmp_path, noise):
    """Four training and two validation images at x2 and x4; LR is noise of its own."""
    root = tmp_path / "DIV2K"
    for part, numbers in (("train", range(1, 5)), ("valid", (801, 802))):
        for number in numbers:
            noise(root / f"DIV2K_{part}_HR/{number:04}.png", 9, 16)
            noise(root / f"DIV2K_{part}_LR_bicubic/X4/{number:04}x4.png", 2, 4)
            noise(root / f"DIV2K_{part}_LR_bicubic/X2/{number:04}x2.png", 4, 8)
    return root


@pytest.fixture
def flickr2k(tmp_path, noise):
    for number in range(1, 4):
        noise(tmp_path / f"Flickr2K/Flickr2K_HR/{number:06}.png")
        noise(tmp_path / f"Flickr2K/Flickr2K_LR_bicubic/X4/{number:06}x4.png", 2, 3)
    return tmp_path / "Flickr2K"


@pytest.fixture
def edsr_benchmark(tmp_path, noise):
    """Set5 and others as in the benchmark archive of EDSR."""
    for folder in ("Set5", "Set14", "B100", "Urban100"):
        for name in ("baby", "bird"):
            noise(tmp_path / f"benchmark/{folder}/HR/{name}.png")
            noise(tmp_path / f"benchmark/{folder}/LR_bicubic/X4/{name}x4.png", 2, 3)
    return tmp_path / "benchmark"


@pytest.fixture
def selfex_set5(tmp_path, noise):
    """Set5 as SelfExSR ships it: HR, LR and results of methods in one folder."""
    folder = tmp_path / "Set5/image_SRF_4"
    for number in (1, 2):
        noise(folder / f"img_{number:03}_SRF_4_HR.png")
        noise(folder / f"img_{number:03}_SRF_4_LR.png", 2, 3)
        noise(folder / f"img_{number:03}_SRF_4_glasner.png")
    return tmp_path / "Set5"


@pytest.fixture
def vimeo90k(tmp_path, noise):
    root = tmp_path / "vimeo_septuplet"
    for clip in ("00001/0001", "00001/0002", "00002/0001"):
        for frame in range(1, 8):
            noise(root / f"sequences/{clip}/im{frame}.png")
    (root / "sep_trainlist.txt").write_text("00001/0002\n00001/0001\n")
    (root / "sep_testlist.txt").write_text("00002/0001\n\n")
    return root


@pytest.fixture
def vid4(tmp_path, noise):
    """Frames without leading zeros, as some copies have them."""
    for clip, rows in (("calendar", 8), ("city", 12)):
        for frame in (1, 2, 9, 10):
            noise(tmp_path / f"Vid4/GT/{clip}/Frame {frame}.png", rows, 16)
            noise(tmp_path / f"Vid4/BIx4/{clip}/Frame {frame}.png", rows // 4, 4)
    return tmp_path / "Vid4"


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """The folder of prepared data sets."""
    folder: pathlib.Path = tmp_path / "prepared"
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    return folder
