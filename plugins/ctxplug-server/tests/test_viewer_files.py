"""The viewer's files: equal words in both languages, readable colours, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import ctxplug_server
import pytest
from ctxplug_server.report.bundling import bundle_script, bundle_styles

VIEWER = Path(ctxplug_server.__file__).parent / "viewer"
OWN = [path for path in VIEWER.rglob("*") if path.is_file() and "vendor" not in path.parts]
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
LANGUAGES = ("en", "zh")


def table(language: str) -> dict[str, str]:
    """Return the words of a language, those of all its files together."""
    found: dict[str, str] = {}
    for path in sorted((VIEWER / "words").glob(f"*{language}.js")):
        text = path.read_text(encoding="utf-8")
        for key, value in re.findall(
            r'^\s*"([\w.-]+)":\s*"((?:[^"\\]|\\.)*)",', text, re.MULTILINE
        ):
            assert key not in found, f"{key} is in two files, or twice in {path.name}"
            found[key] = value
    return found


WORDS = {language: table(language) for language in LANGUAGES}


def test_both_languages_have_the_same_keys() -> None:
    assert len(WORDS["en"]) > 200
    assert set(WORDS["en"]) == set(WORDS["zh"])


def test_both_languages_name_the_same_values() -> None:
    for key, english in WORDS["en"].items():
        values = [set(re.findall(r"\{(\w+)\}", text)) for text in (english, WORDS["zh"][key])]
        singular = values if key.endswith(".one") else values[:1]
        assert values[1] in singular or values[0] == values[1], key


def test_no_sentence_is_left_in_english() -> None:
    for key, text in WORDS["zh"].items():
        plain = re.sub(r"\{\w+\}", "", text)
        assert text != WORDS["en"][key] or not re.search(r"[a-z]{2,} [a-z]{2,}", plain), key


def test_every_word_that_is_asked_for_is_there() -> None:
    known = WORDS["en"]
    for path in SCRIPTS:
        text = re.sub(r"^//.*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for key in re.findall(r'\bt\("([\w.-]+)"', text):
            assert key in known, f"{path.name} asks for {key}"
        for key in re.findall(r'\btn\("([\w.-]+)"', text):
            assert key in known, f"{path.name} asks for {key}"


def test_modules_import_only_what_is_there_and_exported() -> None:
    for path in SCRIPTS:
        for what, where in re.findall(
            r'^import\s+\{([^}]*)\}\s+from\s+"([^"]+)"',
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        ):
            other = (path.parent / where).resolve()
            assert other.is_file(), f"{path.name} imports {where}"
            if "vendor" in other.parts:
                continue
            text = other.read_text(encoding="utf-8")
            for name in (one.split(" as ")[0].strip() for one in what.split(",")):
                exported = rf"export (?:async )?(?:function|const|class|let) {name}\b"
                listed = rf"export \{{[^}}]*\b{name}\b"
                assert not name or re.search(exported, text) or re.search(listed, text), (
                    path.name,
                    name,
                )


def test_all_is_bundled_into_one_script_and_one_style_sheet() -> None:
    script, styles = bundle_script(VIEWER, "app.js"), bundle_styles(VIEWER, "style/all.css")
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert "@import" not in styles and ".minimap" in styles
    used = {path.name for path in SCRIPTS if f"// {path.relative_to(VIEWER).as_posix()}" in script}
    alone = {"first_paint.js"}
    assert {path.name for path in SCRIPTS} - used <= alone


def test_nothing_comes_from_elsewhere_and_nothing_is_inline() -> None:
    for path in OWN:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert not re.search(
            r"https?://|innerHTML|insertAdjacentHTML|document\.write|\beval\(", text
        ), path.name
        assert "dangerouslySetInnerHTML" not in text and "localhost" not in text, path.name
    page = (VIEWER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|\son\w+=|<script>(?!</)", page)
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)


def test_what_is_of_others_has_its_licence() -> None:
    for folder in (VIEWER / "vendor").iterdir():
        if folder.is_dir():
            assert list(folder.glob("LICENSE*")), folder.name


# -- colours ---------------------------------------------------------------------------------


def palette() -> dict[str, tuple[str, str]]:
    """Return the colours by name: in the light, in the dark."""
    text = (VIEWER / "style" / "tokens.css").read_text(encoding="utf-8")
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", text)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


PALETTE = palette()
GROUNDS = ("bg", "surface")
NOT_TEXT = {
    "bg",
    "surface",
    "raised",
    "line",
    "faint",
    "free",
    "margin",
    "mark",
    "on-accent",
    "on-part",
    "edge",
}
FILLED = ("tools", "system", "sections", "cut", "past", "now", "recalled", "reserved")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", sorted(set(PALETTE) - NOT_TEXT))
def test_text_is_readable_on_every_ground(name: str, theme: int) -> None:
    for ground in GROUNDS:
        assert contrast(PALETTE[name][theme], PALETTE[ground][theme]) >= 4.5, ground


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_on_filled_grounds_is_readable(theme: int) -> None:
    for name in FILLED:
        assert contrast(PALETTE["on-part"][theme], PALETTE[name][theme]) >= 4.5, name
    assert contrast(PALETTE["on-accent"][theme], PALETTE["accent"][theme]) >= 4.5
    for text in ("text", "strong"):
        assert contrast(PALETTE[text][theme], PALETTE["raised"][theme]) >= 4.5
        assert contrast(PALETTE["strong"][theme], PALETTE["mark"][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_controls_and_the_focus_stand_out(theme: int) -> None:
    for ground in (*GROUNDS, "raised"):
        assert contrast(PALETTE["edge"][theme], PALETTE[ground][theme]) >= 2.7, ground
        assert contrast(PALETTE["accent"][theme], PALETTE[ground][theme]) >= 3, ground
    assert contrast(PALETTE["edge"][theme], PALETTE["bg"][theme]) >= 3
