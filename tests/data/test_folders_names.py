"""Which LR file belongs to which HR file."""

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.data.folders import conventions, pair_files
from dysr_jax.errors import InputError

HR, LR = pathlib.Path("hr"), pathlib.Path("lr")

stems = st.text("ab01x4_HLR.-", min_size=1, max_size=8).filter(lambda stem: stem.strip("."))
"""Made of what the conventions add and remove, so that they meet."""


def files(folder: pathlib.Path, names) -> list[pathlib.Path]:
    return [folder / f"{name}.png" for name in names]


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("0001", "0001"),
        ("0001", "0001x4"),
        ("baby", "baby_x4"),
        ("baby", "baby_LR"),
        ("img_001_SRF_4_HR", "img_001_SRF_4_LR"),
    ],
)
def test_names_of_publishers(hr, lr):
    assert pair_files(files(HR, [hr]), files(LR, [lr]), 4) == [(HR / f"{hr}.png", LR / f"{lr}.png")]


def test_suffixes_may_differ():
    assert pair_files([HR / "a.png"], [LR / "ax2.jpg"], 2) == [(HR / "a.png", LR / "ax2.jpg")]


@given(
    names=st.lists(stems, min_size=1, max_size=6, unique=True),
    scale=st.sampled_from((2, 3, 4)),
    number=st.integers(0, len(conventions(4)) - 1),
    data=st.data(),
)
def test_whatever_the_names_are_each_hr_gets_its_own_lr(names, scale, number, data):
    to_lr = conventions(scale)[number]
    names = [name for name in names if to_lr(name)] or ["a_HR"]
    expected = dict(zip(files(HR, names), files(LR, map(to_lr, names)), strict=True))
    shuffled = data.draw(st.permutations(list(expected.values())))
    assert dict(pair_files(list(expected), shuffled, scale)) == expected


@given(st.lists(stems, min_size=2, max_size=6, unique=True), st.data())
def test_a_missing_lr_is_never_made_up_for(names, data):
    missing = data.draw(st.sampled_from(names))
    with pytest.raises(InputError, match="do not pair by name"):
        pair_files(files(HR, names), files(LR, [f"{n}x4" for n in names if n != missing]), 4)


def test_files_without_a_partner_are_named_and_counted():
    hr, lr = files(HR, "abcdef"), files(LR, ["ax4", "fx4", "zx4"])
    expected = r"4 HR without LR: 'b\.png', 'c\.png', 'd\.png' and 1 more; 1 LR without HR: 'zx4\.png'"
    with pytest.raises(InputError, match=expected):
        pair_files(hr, lr, 4)


def test_the_scale_in_a_name_has_to_be_the_scale():
    with pytest.raises(InputError, match=r"1 HR without LR: 'a\.png'.*0001x4 for 0001"):
        pair_files(files(HR, "a"), files(LR, ["ax2"]), 4)


@pytest.mark.parametrize("twice", ["hr", "lr"])
def test_two_files_of_one_stem_are_refused(twice):
    both = {"hr": [HR / "a.png"], "lr": [LR / "a.png"]}
    both[twice] += [both[twice][0].with_suffix(".jpg"), both[twice][0].with_suffix(".bmp")]
    with pytest.raises(InputError, match=rf"{twice}': 2 files have the name of another"):
        pair_files(both["hr"], both["lr"], 4)
