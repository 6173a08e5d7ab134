"""Configs to JSON and back, presets, and what is said of files that are no config."""

import dataclasses
import json
import re

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.bench.steady import SteadyOptions
from dysr_jax.config import (
    PRESETS,
    RunConfig,
    SpaceConfig,
    check,
    config_from_json,
    from_dict,
    load_config,
    to_dict,
)
from dysr_jax.data.config import DataConfig
from dysr_jax.errors import InputError
from dysr_jax.rundir import open_run
from dysr_jax.search.config import OBJECTIVES, SearchConfig
from dysr_jax.train.config import TrainConfig

numbers = st.integers(-(2**40), 2**40)
fractions = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
several = st.lists(numbers, max_size=4).map(tuple)
words = st.lists(st.text(), max_size=4).map(tuple)
configs = st.builds(
    RunConfig,
    space=st.builds(SpaceConfig, slots=numbers, widths=several, branches=words, upsamplers=words),
    data=st.builds(
        DataConfig,
        source=st.text(),
        boundary=st.sampled_from(("replicate", "symmetric")),
        small=st.sampled_from(("error", "skip")),
        rescale=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), max_size=3).map(tuple),
    ),
    train=st.builds(
        TrainConfig,
        steps=st.integers(1, 2**40).map(lambda chunks: 25 * chunks),
        distill=st.floats(0, 1),
        learning_rate=positive,
        groups=st.none() | st.integers(1, 64),
    ),
    search=st.builds(
        SearchConfig,
        frame=st.tuples(st.integers(1, 2**40), st.integers(1, 2**40)),
        remeasure=st.booleans(),
        objectives=st.permutations(OBJECTIVES).map(tuple),
        latency=st.none() | st.text(),
        max_latency_ms=st.none() | positive,
        min_psnr_y=st.none() | positive,
    ),
    seed=numbers,
    dtype=st.sampled_from(("auto", "float32", "bfloat16")),
)


@settings(deadline=None, derandomize=True, database=None)
@given(configs)
def test_json_round_trip(config):
    assert config_from_json(json.loads(json.dumps(to_dict(config))), "x") == config


def lists(fields):
    """Fields of a config with every tuple as a list, and every number as NumPy's."""
    if isinstance(fields, (list, tuple)):
        return [lists(item) for item in fields]
    if isinstance(fields, float):
        return np.float64(fields)
    is_int = isinstance(fields, int) and not isinstance(fields, bool)
    return np.int64(fields) if is_int else fields


@settings(deadline=None, derandomize=True, database=None)
@given(configs)
def test_a_config_is_the_same_whoever_made_it(config):
    """From lists and NumPy's numbers as from tuples: equal, hashable, and JSON in the same way."""
    parts = {}
    for field in dataclasses.fields(config):
        part = getattr(config, field.name)
        if dataclasses.is_dataclass(part):
            values = {f.name: lists(getattr(part, f.name)) for f in dataclasses.fields(part)}
            part = type(part)(**values)
        parts[field.name] = lists(part)
    made = RunConfig(**parts)
    assert made == config
    assert hash(made) == hash(config)
    assert to_dict(made) == to_dict(config)
    assert config_from_json(to_dict(made), "x") == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataConfig(rescale=0.9), r"data\.rescale: 0\.9 is not tuple\[float, \.\.\.\]"),
        (lambda: DataConfig(rescale=["0.9"]), r"data\.rescale: '0\.9' is not float"),
        (lambda: DataConfig(rescale=(x for x in [0.9])), r"data\.rescale: <generator .* is not tuple"),
        (lambda: DataConfig(patch=24.0), r"data\.patch: 24\.0 is not int"),
        (lambda: DataConfig(small="drop"), r"data\.small: 'drop' is not .*error.*skip"),
        (lambda: TrainConfig(steps=True), r"train\.steps: True is not int"),
        (lambda: TrainConfig(steps=np.float32(3)), r"train\.steps: 3\.0 is not int"),
        (lambda: TrainConfig(clip=10**400), r"train\.clip: 1000+ is not float"),
        (lambda: TrainConfig(ema=None), r"train\.ema: None is not float"),
        (lambda: SearchConfig(frame=[180]), r"search\.frame: \[180\] is not tuple\[int, int\]"),
        (lambda: SearchConfig(frame=180), r"search\.frame: 180 is not tuple\[int, int\]"),
        (lambda: SpaceConfig(widths=16), r"space\.widths: 16 is not tuple\[int, \.\.\.\]"),
        (lambda: SpaceConfig(widths=[16, "24"]), r"space\.widths: '24' is not int"),
        (lambda: SpaceConfig(branches="id"), r"space\.branches: 'id' is not tuple"),
        (lambda: RunConfig(train={"step": 3}), r"train: unknown key 'step'; must be one of steps, "),
        (lambda: RunConfig(train=SearchConfig()), r"train: must be an object with steps"),
        (lambda: RunConfig(seed="1"), r"seed: '1' is not int"),
        (lambda: SteadyOptions(frame=[1]), r"frame: \[1\] is not tuple\[int, int\]"),
    ],
)
def test_a_field_of_another_type_is_named_where_it_is_given(make, message):
    with pytest.raises(InputError, match=f"^{message}"):
        make()


def test_paths_are_text(tmp_path):
    config = RunConfig(data={"directory": tmp_path}, weights=tmp_path / "supernet.safetensors")
    assert config.data.directory == str(tmp_path)
    assert config.weights == str(tmp_path / "supernet.safetensors")


def test_a_run_begun_with_lists_is_gone_on_with(tmp_path):
    lists_, tuples = (RunConfig(data=DataConfig(rescale=kind([0.9]))) for kind in (list, tuple))
    for config in (lists_, lists_, tuples):
        assert open_run(tmp_path / "run", config) == tmp_path / "run"
    other = dataclasses.replace(lists_, seed=1)
    with pytest.raises(InputError, match=r"run of another config \(seed 0, not 1\)"):
        open_run(tmp_path / "run", other)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_by_name_and_survive_json(name, tmp_path):
    config = load_config(name)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(to_dict(config)))
    assert load_config(str(path)) == load_config(path) == load_config(epath.Path(path)) == config
    # A preset whose space cannot be built would be of no use.
    assert config.space.build().scale == 4


def test_presets_differ():
    assert len(set(PRESETS.values())) == len(PRESETS)
    assert load_config("quickstart") != RunConfig()


def test_missing_keys_keep_their_defaults():
    config = from_dict(RunConfig, {"train": {"steps": 75}}, "x")
    assert config == dataclasses.replace(RunConfig(), train=TrainConfig(steps=75))


def test_whole_numbers_are_floats_where_floats_are_meant():
    clip = from_dict(RunConfig, {"train": {"clip": 2}}, "x").train.clip
    assert clip == 2.0
    assert type(clip) is float


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spice": 1}, r"x: unknown key 'spice'; must be one of space, data, train"),
        ({"space": {"slot": 1}}, r"x: space: unknown key 'slot'; must be one of slots, widths, scale"),
        ({"space": {"slots": "4"}}, r"x: space: slots: '4' is not int"),
        ({"space": {"slots": 4.0}}, r"x: space: slots: 4\.0 is not int"),
        ({"space": {"slots": True}}, r"x: space: slots: True is not int"),
        ({"space": {"slots": None}}, r"x: space: slots: None is not int"),
        ({"space": {"branches": "id"}}, r"x: space: branches: 'id' is not tuple\[str, \.\.\.\]"),
        ({"space": {"branches": ["id", 3]}}, r"x: space: branches: 3 is not str"),
        ({"data": {"boundary": "wrap"}}, r"x: data: boundary: 'wrap' is not .*replicate.*symmetric"),
        ({"data": {"source": 1}}, r"x: data: source: 1 is not str"),
        ({"train": {"ema": "0.9"}}, r"x: train: ema: '0\.9' is not float"),
        ({"train": {"ema": False}}, r"x: train: ema: False is not float"),
        ({"search": {"frame": [180]}}, r"x: search: frame: \[180\] is not tuple\[int, int\]"),
        ({"search": {"frame": [1, 2, 3]}}, r"x: search: frame: \[1, 2, 3\] is not tuple"),
        ({"search": {"frame": [1, "2"]}}, r"x: search: frame: '2' is not int"),
        ({"search": {"objectives": "params"}}, r"x: search: objectives: 'params' is not tuple"),
        (
            {"search": {"objectives": ["psnr_y", "fps"]}},
            r"x: search: objectives: 'fps' is not .*psnr_y.*latency_ms.*params.*mult_adds",
        ),
        ({"search": {"max_latency_ms": "8"}}, r"x: search: max_latency_ms: '8' is not float"),
        ({"search": {"remeasure": 1}}, r"x: search: remeasure: 1 is not bool"),
        ({"dtype": ["auto"]}, r"x: dtype: \['auto'\] is not"),
        ({"train": [1]}, r"x: train: must be an object with steps.*got \[1\]"),
        ([], r"x: must be an object with space, data.*got \[\]"),
        (None, r"x: must be an object with space, data.*got None"),
    ],
)
def test_what_is_no_config_is_named(fields, message):
    with pytest.raises(InputError, match=f"^{message}"):
        from_dict(RunConfig, fields, "x")


@pytest.mark.parametrize("name", ["", "Quickstart", "config.yaml", "json"])
def test_unknown_presets_are_named(name):
    allowed = ", ".join(PRESETS)
    with pytest.raises(InputError, match=rf"config '{name}': must be {allowed} or a \.json"):
        load_config(name)


@pytest.mark.parametrize("name", [None, 3, b"quickstart", RunConfig(), ["quickstart"]])
def test_what_is_no_name_is_no_config(name):
    with pytest.raises(InputError, match=r"^config .*: must be quickstart, .* or a \.json file"):
        load_config(name)


def test_a_config_in_a_bucket(bucket):
    epath.Path(f"{bucket}/c.json").write_text(json.dumps(to_dict(RunConfig(seed=3))))
    assert load_config(f"{bucket}/c.json") == load_config(epath.Path(bucket) / "c.json")
    assert load_config(f"{bucket}/c.json") == RunConfig(seed=3)
    for name in (f"{bucket}/missing.json", "foo://c.json"):
        with pytest.raises(InputError, match=f"config '{name}': the file cannot be read"):
            load_config(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"seed": 1', "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b'{"spice": 1}', "unknown key 'spice'"),
        (b"3", "must be an object"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        load_config(str(path))
    assert str(path) in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path):
    (tmp_path / "folder.json").mkdir()
    for name in ("missing.json", "folder.json"):
        with pytest.raises(InputError, match=rf"^config '[^']*{name}': the file cannot be read"):
            load_config(str(tmp_path / name))


def test_a_space_needs_slots():
    with pytest.raises(InputError, match=r"space\.slots 0: must be in \[1, 9999\]"):
        SpaceConfig(slots=0).build()


def test_a_space_has_a_size_that_can_be_named():
    with pytest.raises(InputError, match=r"space\.slots 10{30}: must be in \[1, 9999\]"):
        SpaceConfig(slots=10**30).build()


@pytest.mark.parametrize("widths", [(), (0,), (-1, 4), (4, 4), (8, 4), (10_000,), (16, 10**30)])
def test_widths_that_cannot_be(widths):
    must = r"must be increasing integers in \[1, 9999\]"
    with pytest.raises(InputError, match=rf"^space\.widths {re.escape(str(widths))}: {must}$"):
        SpaceConfig(widths=widths).build()


def test_one_width_or_several():
    one, three = (SpaceConfig(widths=widths).build() for widths in ([16], [16, 24, 32]))
    assert (one.widths, three.widths) == ((16,), (16, 24, 32))
    assert len(three.genes) == len(one.genes) + 1


OLD = {
    "weights": "",
    "devices": 0,
    "train": {"tones": 0.5, "colours": True, "loss": "l1", "mix": 0.0, "schedule": "cosine", "groups": 2},
    "search": {"sharing": 0.1, "mutation": 0.0, "max_latency_ms": 0.0, "latency": ""},
}
"""As the first format has it: no number, old names, 0 and "" for what is not given."""


def test_a_config_of_the_first_format_is_read():
    config = config_from_json(OLD, "x")
    assert (config.weights, config.devices, config.train.groups) == (None, None, 2)
    assert (config.train.color_jitter, config.train.channel_shuffle) == (0.5, True)
    search = config.search
    assert (search.switch_cost_weight, search.mutation, search.max_latency_ms) == (0.1, None, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss", "charbonnier"),
        ("frequency", 0.1),
        ("mix", 0.5),
        ("schedule", "linear"),
        ("largest_steps", 25),
    ],
)
def test_options_that_are_gone_are_refused_before_training(key, value):
    fields = {"train": {key: value, "steps": 50}}
    with pytest.raises(InputError, match=rf"^x: train\.{key} .*: this version trains with"):
        config_from_json(fields, "x")
    assert config_from_json(fields, "x", trained=True).train.steps == 50


def test_a_config_of_a_later_format_is_refused():
    for version in (4, 0, "3"):
        with pytest.raises(InputError, match=rf"format_version {version!r}: must be in \[1, 3\]"):
            config_from_json({"format_version": version}, "x")


@pytest.mark.parametrize("version", [{}, {"format_version": 1}, {"format_version": 2}])
def test_older_formats_have_one_width(version):
    fields = {**version, "space": {"slots": 3, "width": 24, "scale": 2}}
    config = config_from_json(fields, "x")
    assert config.space == SpaceConfig(slots=3, widths=(24,), scale=2)
    assert config_from_json(to_dict(config), "x") == config
    assert to_dict(config)["format_version"] == 3
    assert config_from_json({**version, "space": {"slots": 3}}, "x").space == SpaceConfig(slots=3)
    assert fields["space"] == {"slots": 3, "width": 24, "scale": 2}
    with pytest.raises(InputError, match="x: space: widths: '24' is not int"):
        config_from_json({**version, "space": {"width": "24"}}, "x")


def test_the_newest_format_has_no_width():
    with pytest.raises(InputError, match="x: space: unknown key 'width'; must be one of slots, widths"):
        config_from_json({"format_version": 3, "space": {"width": 24}}, "x")


def test_a_load_is_refused_before_training(tmp_path):
    path = tmp_path / "load.json"
    path.write_text("[[2, 0.5]]")
    search = dataclasses.replace(PRESETS["quickstart"].search, for_load=str(path), fps=30.0)
    with pytest.raises(InputError, match=r"search\.for_load .*sum to 1, got 0\.5"):
        check(dataclasses.replace(PRESETS["quickstart"], search=search), 1)
