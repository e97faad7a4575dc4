"""Answers whose headers are taken as they are."""

import pytest
from werkzeug.test import run_wsgi_app

from idp.application import Exact


def test_a_header_value_with_a_line_break_is_never_sent() -> None:
    for value in ("https://x.example/\r\nSet-Cookie: a=b", "a\nb"):
        with pytest.raises(ValueError, match="line break"):
            Exact(b"", 303, [("Location", value)])


def test_an_exact_answer_to_head_has_no_body() -> None:
    answer = Exact(b"body", 200, [("Content-Length", "4")])
    for method, body in (("GET", b"body"), ("HEAD", b"")):
        content, status, headers = run_wsgi_app(answer, {"REQUEST_METHOD": method})
        assert (b"".join(content), status, headers["Content-Length"]) == (body, "200 OK", "4")
