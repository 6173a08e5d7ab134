"""What the experiment on ONNX Runtime's sessions reports."""

import onnx_sessions
import pytest
from onnx_sessions import Options, grown_bytes, rates

from dysr_jax.bundle import save_bundle


def test_rates_of_each_way(three_members, monkeypatch):
    monkeypatch.setattr(onnx_sessions, "STREAMED", 2)
    rows = rates(three_members, Options(members=("fastest", "best"), output=18, rounds=1))
    assert [row["member"] for row in rows] == ["2id-u1", "2r1-u2"]
    for row in rows:
        assert row["bank_ratio"] * row["bare"] == pytest.approx(row["bank"])
        assert min(row["bank"], row["stream"]) > 0


def test_what_all_members_take(three_members, tmp_path, monkeypatch):
    save_bundle(tmp_path / "bundle", three_members, {})
    options = Options(bundle=str(tmp_path / "bundle"), output=18)
    made, resident = [], iter([100, 340, 500, 570])
    monkeypatch.setattr(onnx_sessions, "resident_bytes", lambda: next(resident))
    bare = onnx_sessions.bare_session
    monkeypatch.setattr(onnx_sessions, "bare_session", lambda b, name: made.append(name) or bare(b, name))
    assert grown_bytes(options, shared=False) == 240
    assert made == [member.name for member in three_members.members]
    assert grown_bytes(options, shared=True) == 70
    assert len(made) == 3
