"""Planted bugs have their places in the source; that runs find them, ``.ci/run`` shows."""

from __future__ import annotations

import pytest

from tests.chaos.mutations import MUTATIONS
from tests.chaos.planting import Change, Mutation, PlantError, changed, plant, source_path


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_the_place_of_every_planted_bug_is_there_once(mutation: Mutation) -> None:
    """A bug that is planted nowhere would be called caught by nobody, and missed by all."""
    texts = {c.module: source_path(c.module).read_text() for c in mutation.changes}
    for change in mutation.changes:
        texts[change.module] = changed(texts[change.module], change)
    for module, text in texts.items():
        compile(text, module, "exec")


def test_a_place_that_is_gone_or_not_alone_is_told() -> None:
    """A change of the worker's code must not turn a planted bug into none."""
    change = Change("any.module", "a = 1\n", "a = 2\n")
    assert changed("a = 1\nb = 1\n", change) == "a = 2\nb = 1\n"
    for text in ("b = 1\n", "a = 1\na = 1\n"):
        with pytest.raises(PlantError, match="expected 1"):
            changed(text, change)


def test_what_was_imported_already_is_too_late_to_plant_in() -> None:
    """The bug would be in nobody's code."""
    late = Mutation("late", "", (Change("helpers.domain", "a", "b"),), frozenset({"any"}), 0)
    with pytest.raises(PlantError, match="imported already"):
        plant(late)
