"""The whole report as blocks, in the order in which a reader asks: what, where, with what outcome, and what now."""

from collections.abc import Mapping, Sequence
from typing import Any

from dosette_bench.report.advice import advice
from dosette_bench.report.blocks import Block, Bullets, Code, Heading, Note, Paragraph, Story, Text
from dosette_bench.report.costs import where_the_time_goes
from dosette_bench.report.outcome import verdict, what_came_out
from dosette_bench.report.past import comparison_blocks, earlier
from dosette_bench.report.promises import which_targets_hold
from dosette_bench.report.reading import how_to_read_it
from dosette_bench.report.setting import box_warning, machine, what_was_asked
from dosette_bench.report.words import moment
from dosette_bench.results import Document

NOTHING_TO_DO = "Nothing in these figures asks for work."


def tell(document: Document, before: Sequence[Document], comparison: Mapping[str, Any] | None) -> Story:
    """`before`: earlier results, the oldest first. Of other machines, boxes or households they are counted and left out."""
    past = earlier(document, before)
    blocks: list[Block] = [
        *_warnings(document),
        Paragraph(verdict(document)),
        *what_was_asked(document),
        *machine(document),
        *what_came_out(document),
        *comparison_blocks(comparison),
        *past.blocks,
        *which_targets_hold(document),
        *where_the_time_goes(document),
        *_what_to_try_next(advice(document, past.lines, comparison)),
        *how_to_read_it(),
    ]
    return Story("Performance report", _subtitle(document), blocks)


def _subtitle(document: Document) -> str:
    commit = f", commit {document['commit']}" if document["commit"] else ""
    return f"Dosette {document['version']}{commit}, measured {moment(document['timestamp'])}"


def _warnings(document: Document) -> list[Block]:
    """What must be known before any figure is believed."""
    settings = document["settings"]
    found: list[Block] = []
    if document["interrupted"]:
        found.append(Note("This run was interrupted", "What was done by then is here; the rest was not measured."))
    if settings["quick"]:
        found.append(
            Note("This was a quick run", "Fewer tries than usual: good for a first look, not for a verdict on times.")
        )
    if settings["only"] is not None:
        asked: Text = (
            "Only operations like ",
            Code(settings["only"]),
            " were asked for; promises about others were passed over.",
        )
        found.append(Note("This run is a part", asked))
    return found + box_warning(document["box"])


def _what_to_try_next(found: Sequence[Text]) -> list[Block]:
    if not found:
        return [Heading("What to try next"), Paragraph(NOTHING_TO_DO)]
    intro = "By rules, from figures alone: what fails and what is missed comes first."
    return [Heading("What to try next"), Paragraph(intro), Bullets(found)]
