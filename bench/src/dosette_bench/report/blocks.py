"""What a story is made of; `markdown` and `page` each know how to show every kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field


class Code(str):
    """A name as the results have it."""

    __slots__ = ()


class Strong(str):
    """What the eye should fall on first."""

    __slots__ = ()


class Good(str):
    """A promise that is kept, or a change for the better."""

    __slots__ = ()


class Bad(str):
    """A promise that is not kept, or a change for the worse."""

    __slots__ = ()


class Open(str):
    """What nobody knows."""

    __slots__ = ()


class Quiet(str):
    """What may be passed over."""

    __slots__ = ()


Text = str | tuple[str, ...]
"""A str, or one after the other several of them and of the kinds above."""


def as_parts(text: Text) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: Text


@dataclass(frozen=True)
class Note:
    """What must not be overlooked."""

    title: str
    text: Text


@dataclass(frozen=True)
class Bullets:
    items: Sequence[Text]


@dataclass(frozen=True)
class Table:
    """`words` is how many columns, from the left, hold words; the others hold figures. A folded one is opened by a click."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Text]]
    words: int = 1
    folded: bool = False


@dataclass(frozen=True)
class Score:
    """Of one level: how many promises hold, are missed, were not measured."""

    level: str
    holds: int
    missed: int
    open: int


@dataclass(frozen=True)
class Scores:
    levels: Sequence[Score]


@dataclass(frozen=True)
class Picture:
    """`svg` is markup, the rest is text."""

    svg: str
    name: Text = ""
    figures: str = ""


@dataclass(frozen=True)
class Charts:
    """Only the page shows them; what they show is in a table, too. `legend` is markup."""

    title: str
    about: str
    pictures: Sequence[Picture]
    legend: str = ""


Block = Heading | Paragraph | Note | Bullets | Table | Scores | Charts


@dataclass(frozen=True)
class Story:
    title: str
    subtitle: str
    blocks: Sequence[Block] = field(default_factory=tuple)
