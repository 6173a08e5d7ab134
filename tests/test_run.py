"""How a run begins: what it needs the first time, and what it can do without later."""

import dataclasses

import jax
import pytest

from dysr_jax import run
from dysr_jax.config import with_groups
from dysr_jax.errors import InputError
from dysr_jax.rundir import open_run


def test_a_run_with_its_own_table_does_not_need_the_named_one(tiny, tmp_path):
    search = dataclasses.replace(tiny.search, latency=str(tmp_path / "gone.json"))
    config, out = dataclasses.replace(tiny, search=search), tmp_path / "run"
    with pytest.raises(InputError, match=r"gone\.json' is missing or damaged"):
        run._begin(config, out, print)
    assert not out.exists()
    begun = with_groups(config, len(jax.devices()))
    begun = dataclasses.replace(begun, data=dataclasses.replace(begun.data, pipeline="pool"))
    open_run(out, begun)
    with pytest.raises(InputError, match=r"gone\.json' is missing or damaged"):
        run._begin(config, out, print)  # begun, and killed before it had a table of its own
    (out / "latency.json").write_text("{}")
    assert run._begin(config, out, print).run == out


def test_an_unknown_place_is_said_by_name_though_a_table_is_named(tiny, tmp_path):
    search = dataclasses.replace(tiny.search, latency=str(tmp_path / "gone.json"))
    with pytest.raises(InputError, match=r"gone\.json"):
        run._begin(dataclasses.replace(tiny, search=search), "foo://run", print)
