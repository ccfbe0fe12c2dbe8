"""Reports: whole HTML that needs nothing else, and says what it lacks."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from dexpie.report.page import Code, Listing, Missing, Page, Picture, Section, Table, Text, html
from dexpie.report.pictures import copies, picture
from dexpie.report.sections import command_section, progress_section, time_section, verdict
from dexpie_core.errors import DexpieError
from dexpie_training.comparison import Comparison
from dexpie_training.evaluate import TrialResult, summarise_trials

PNG = b"\x89PNG\r\n\x1a\n"
VOID = {"meta", "img"}
PAGE = Page(
    "Title <1>",
    "a < b & c",
    (
        Section(
            "First", (Text("<script>alert(1)</script>"), Listing(("one", "two")), Code(("./dexpie a 'b'",)))
        ),
        Section(
            "Second",
            (
                Table("Caption", ("name", "rate"), [("BC", "36 %"), ("x", "<b>")]),
                Picture(PNG, 'a "quoted" strip', "what it is"),
                Missing("The curve", "no such file"),
            ),
        ),
    ),
)


class Reader(HTMLParser):
    """Elements with their attributes, and whether every one that opens is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_a_page_is_well_formed_escapes_what_it_is_told_and_loads_nothing() -> None:
    read = Reader(html(PAGE))
    assert read.open == []
    assert not {"script", "link", "iframe", "object"} & {name for name, _ in read.elements}
    assert all(str(a["href"]).startswith("#") for a in read.all("a"))
    assert all(str(a["src"]).startswith("data:image/png;base64,") for a in read.all("img"))
    assert "url(" not in html(PAGE) and "@import" not in html(PAGE)
    assert "<script>alert(1)</script>" in read.text and "a < b & c" in read.text
    assert [a["alt"] for a in read.all("img")] == ['a "quoted" strip']
    assert read.all("html") == [{"lang": "en"}]


def test_contents_lead_to_the_sections() -> None:
    read = Reader(html(PAGE))
    assert [str(a["href"])[1:] for a in read.all("a")] == [a["id"] for a in read.all("section")]


def test_figures_are_set_to_the_right_and_headers_have_a_scope() -> None:
    read = Reader(html(PAGE))
    assert [a.get("class") for a in read.all("td")] == [None, "number", None, None]
    assert all(a == {"scope": "col"} for a in read.all("th"))


def test_a_picture_that_cannot_be_drawn_is_said_in_its_place() -> None:
    def broken(out: Path) -> None:
        raise DexpieError("no labels")

    assert picture("The histogram", broken, "alt") == Missing("The histogram", "DexpieError: no labels")
    assert picture("The file", lambda out: None, "alt") == Missing(
        "The file", "FileNotFoundError: nothing was drawn"
    )
    drawn = picture("The file", lambda out: out.write_bytes(PNG), "alt", "caption")
    assert drawn == Picture(PNG, "alt", "caption")
    page = Page("t", "s", (Section("x", (Missing("The histogram", "no rows < 3"),)),))
    assert "The histogram is missing: no rows < 3" in Reader(html(page)).text


def test_copies_bear_the_names_that_the_plots_show(tmp_path: Path) -> None:
    report, run, folder = tmp_path / "evaluate-1a.json", tmp_path / "train-2b", tmp_path / "scratch"
    report.write_text("{}")
    run.mkdir()
    folder.mkdir()
    (run / "run.json").write_text("[1]")
    (run / "curve.csv").write_text("step")
    found = copies({"BC": report, "DexPIE": run}, folder)
    assert [path.name for path in found] == ["BC.json", "DexPIE"]
    assert (found[1] / "run.json").read_text() == "[1]" and (found[1] / "curve.csv").read_text() == "step"


def comparison(**successes: str) -> Comparison:
    """Trials by name, as a string of 1 and 0 each."""
    settings = {"task": "bottle", "task_steps": ["reach", "carry"]}
    return Comparison.of(
        {
            name: summarise_trials(
                [
                    TrialResult(seed, c == "1", "success" if c == "1" else "failure",
                                "" if c == "1" else "bottle fell over", 10, 0.4, 2 if c == "1" else 1)
                    for seed, c in enumerate(text)
                ],
                settings,
            )
            for name, text in successes.items()
        }
    )  # fmt: skip


def test_the_verdict_sets_the_last_policy_against_the_first() -> None:
    text = verdict(comparison(BC="1000000000", HG="1111111111", DexPIE="1111110000"))
    assert text.startswith("BC: 1 of 10 (10 %). DexPIE: 6 of 10 (60 %). Difference +50 points, 95 % ")
    assert text.endswith("p = 0.062.")  # 5 discordant pairs, all one way: 2 / 2^5
    with pytest.raises(DexpieError, match="nothing to compare"):
        verdict(comparison(BC="10"))


def test_sections_tell_how_far_trials_came_how_long_steps_took_and_what_to_type() -> None:
    reached, failures = progress_section(comparison(BC="10", DexPIE="11")).parts
    assert isinstance(reached, Table) and isinstance(failures, Table)
    assert list(reached.header) == ["policy", "reach", "carry", "success"]
    assert [list(row) for row in reached.rows] == [["BC", "2", "2", "1"], ["DexPIE", "2", "2", "2"]]
    assert list(failures.rows) == [("BC", "bottle fell over", 1)]
    note, steps = time_section([("bc.0", 61.2), ("data.0", None)], 120.0).parts
    assert isinstance(note, Text) and note.text.startswith("This call took 2.0 minutes")
    assert isinstance(steps, Table) and list(steps.rows) == [("bc.0", "61 s"), ("data.0", "made before")]
    *_, commands = command_section([("convert", "my bags", "--out", "x")], "./dexpie demo").parts
    assert commands == Code(("./dexpie convert 'my bags' --out x",))
