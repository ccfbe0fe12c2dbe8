"""A report as one HTML page: sections of text, tables, pictures and commands. Pure but for `write_page`.

Nothing is loaded from elsewhere and nothing runs: styles and pictures lie in the page itself.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from dexpie.report.style import STYLE
from dexpie_training.serial import write_text

NUMERIC: Final = frozenset("+-0123456789")


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Listing:
    """Numbered points."""

    points: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header; figures of one column stand below one another."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption; alt: what is to be seen, in words."""

    png: bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Missing:
    """Something that should be here, and why it is not."""

    what: str
    why: str


@dataclass(frozen=True)
class Code:
    """Lines to be typed."""

    lines: tuple[str, ...]


Part = Text | Listing | Table | Picture | Missing | Code


@dataclass(frozen=True)
class Section:
    """Parts under a title."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Page:
    """The whole report; summary: what came of it, in a sentence."""

    title: str
    summary: str
    sections: tuple[Section, ...]


def html(page: Page) -> str:
    """The page as an HTML document."""
    sections = "\n".join(_section(i, section) for i, section in enumerate(page.sections))
    entries = "".join(
        f'<li><a href="#s{i}">{escape(section.title)}</a></li>' for i, section in enumerate(page.sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(page.title)}</h1>\n<p class="summary">{escape(page.summary)}</p>\n'
        f'<nav aria-label="Contents"><ul>{entries}</ul></nav>\n{sections}\n</main>\n</body>\n</html>\n'
    )


def write_page(page: Page, file: Path) -> None:
    """Write the document, whole or not at all."""
    write_text(file, html(page))


def _section(index: int, section: Section) -> str:
    parts = "\n".join(_part(part) for part in section.parts)
    return f'<section id="s{index}">\n<h2>{escape(section.title)}</h2>\n{parts}\n</section>'


def _part(part: Part) -> str:
    match part:
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Listing(points):
            return "<ol>" + "".join(f"<li>{escape(point)}</li>" for point in points) + "</ol>"
        case Table():
            return _table(part)
        case Picture():
            return _picture(part)
        case Missing(what, why):
            return f'<p class="missing"><strong>{escape(what)} is missing:</strong> {escape(why)}</p>'
        case Code(lines):
            return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    return (
        f'<div class="wide"><table>\n<caption>{escape(table.caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cell(value: object) -> str:
    text = str(value)
    kind = ' class="number"' if text[:1] in NUMERIC and text else ""
    return f"<td{kind}>{escape(text)}</td>"


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    return f'<figure><img src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">{caption}</figure>'
