"""Markdown on our pages: what is meant is shown, and nothing that somebody smuggles in works."""

import re
from html.parser import HTMLParser

import pytest

from idp.markdown import render

# What a text may try, with what must not come out of it as markup.
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<!-- --><iframe src=//evil.test></iframe>",
    "<style>*{display:none}</style>",
    "<form action=//evil.test><input name=csrf></form>",
    "<base href=//evil.test>",
    "<meta http-equiv=refresh content=0;url=//evil.test>",
    "</div></main><h1>Password</h1>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript&colon;alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x]( javascript:alert(1) )",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](//evil.test)",
    "[x](/logout)",
    "[x](?lang=ja)",
    "[x](#continue)",
    "[x](http:evil.test)",
    "[x](blob:https://a.test/1)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "![x](https://evil.test/pixel.png)",
    "![x](data:image/png;base64,AAAA)",
    "![x][1]\n\n[1]: https://evil.test/pixel.png",
    '[x](https://a.test "\\" onmouseover=alert(1) \\"")',
    "[x](https://a.test/\"onmouseover='alert(1)')",
    "`<script>`",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "~~~\n</code></pre><script>alert(1)</script>\n~~~",
    "|a|\n|:-:|\n|<script>alert(1)</script>|",
    "{{ 7 * 7 }} {% raw %}",
]
TAGS = {"p", "ul", "ol", "li", "a", "em", "strong", "s", "code", "pre", "blockquote", "hr", "br"}
TAGS |= {"h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_that_acts_comes_out(text: str) -> None:
    for tag, attributes in Tags(render(text)).found:
        assert tag in TAGS
        assert set(attributes) <= {"href", "title", "start", "rel", "target"}, attributes
        href = attributes.get("href")
        assert href is None or re.match(r"(https?://|mailto:)", href), href
    assert "49" not in render(text)


@pytest.mark.parametrize(
    "text",
    [
        "[x](https://a.test/?q=1)",
        "[x](HTTP://a.test)",
        "[x](mailto:help@a.test)",
        "<https://a.test>",
        "<help@a.test>",
    ],
)
def test_links_to_the_web_and_to_mail_work_and_open_beside_the_page(text: str) -> None:
    [(_, attributes)] = [found for found in Tags(render(text)).found if found[0] == "a"]
    assert attributes["rel"] == "noopener noreferrer"
    assert attributes["target"] == "_blank"


def test_a_bare_address_stays_text() -> None:
    assert "<a" not in render("See https://a.test and javascript:alert(1)")


def test_terms_look_like_terms() -> None:
    html = render(
        "# 利用規約\n\n第1条 **目的**\n\n3. 三\n4. 四\n\n|a|b|\n|-|-:|\n|1|2|\n\n###### x"
    )
    assert "<h2>利用規約</h2>" in html
    assert "<strong>目的</strong>" in html
    assert '<ol start="3">' in html
    assert "<td>2</td>" in html
    assert "style" not in html
    assert "<h6>x</h6>" in html


@pytest.mark.parametrize(
    "text", ["[" * 5_000, "*a" * 5_000, ">" * 5_000, "`" * 20_001, "- " * 3_000, "|" * 20_000]
)
def test_a_text_that_nests_without_end_is_rendered_all_the_same(text: str) -> None:
    assert render(text)
