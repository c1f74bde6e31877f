"""The gallery: what it shows is the oracles', and nothing of it is clipped or lies on something else."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from analysis.output import gallery, style


@pytest.fixture(scope="module")
def shown() -> gallery.Scene:
    return gallery.scene()


def test_what_is_shown_is_the_oracles(shown: gallery.Scene) -> None:
    assert shown.verdicts.tolist() == [1.0, 0.0]
    assert shown.answers[0, -1] == shown.answers[1, -1]  # a right answer is not enough
    assert sorted(shown.maze.goals[cell] for cell in shown.reached) == [0.3, 1.0]
    assert shown.reached[max(shown.reached, key=shown.maze.goals.get)] >= 0.35
    # Decisions of an episode: at least one, at most as many as the horizon.
    assert 1 <= shown.visits.sum() <= shown.maze.horizon
    np.testing.assert_allclose(shown.turned.sum(axis=1), 1, rtol=1e-12)
    assert shown.pulled[shown.bandit.rewards > 0].sum() == pytest.approx(shown.bandit.success, rel=1e-12)
    assert (shown.pass_at_k > shown.batch.success_rates).all()


def test_drawing_is_whole_and_clear(shown: gallery.Scene) -> None:
    with style.drawing():
        figure = gallery.draw(shown)
        figure.draw_without_rendering()
        page = figure.bbox
        for panel in figure.axes:
            texts = [panel.title, panel._left_title, panel.xaxis.label, panel.yaxis.label, *panel.texts]
            boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
            for text, box in boxes:
                inside = page.x0 <= box.x0 <= box.x1 <= page.x1 and page.y0 <= box.y0 <= box.y1 <= page.y1
                assert inside, f"{text!r} is clipped"
            for (one, first), (other, second) in combinations(boxes, 2):
                assert not first.overlaps(second), f"{one!r} lies on {other!r}"


@pytest.mark.integration
def test_files_are_small_and_the_same_each_time(
    shown: gallery.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "scene", lambda: shown)
    first = gallery.write(tmp_path / "one")
    second = gallery.write(tmp_path / "two")
    assert first == tmp_path / "one" / "gallery" / "figure.png"
    for suffix in (".png", ".pdf"):
        content = first.with_suffix(suffix).read_bytes()
        assert len(content) < 300_000
        assert content == second.with_suffix(suffix).read_bytes()
