"""The reference pages say what the code has."""

import pytest

from docs.scripts import reference


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_page_of_the_reference_is_current(name: str) -> None:
    written = (reference.FOLDER / f"{name}.md").read_text()

    assert written == reference.NOTE + reference.PAGES[name](), (
        "Run `make reference` and commit what it writes."
    )
