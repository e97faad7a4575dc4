"""`python -m bench`: run the measurements and write `docs/PERFORMANCE.md`.

Only a whole run at full length writes the page; a part or a quick run is printed, so that the page
never holds figures of different days.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench import machine, measures, profile, servers
from bench.connection import BenchError
from bench.measures import Plan
from bench.report import Results, render

_PAGE = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
_PARTS = ("sso", "profile", "servers", "password", "scale", "memory")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    plan = replace(Plan(), workers=options.workers, connections=options.connections)
    plan = plan.quick() if options.quick else plan
    parts = [options.only] if options.only else list(_PARTS)
    try:
        page = render(_measure(plan, parts))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.only or options.quick:
        print(page)
        return 0
    _PAGE.parent.mkdir(exist_ok=True)
    _PAGE.write_text(page, encoding="utf-8")
    print(f"written: {_PAGE}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the counts, printed")
    parser.add_argument(
        "--only",
        choices=(*_PARTS, "reference"),
        help="one part, printed; 'reference' measures node-oidc-provider alone",
    )
    parser.add_argument("--workers", type=int, default=Plan().workers, metavar="N")
    parser.add_argument("--connections", type=int, default=Plan().connections, metavar="N")
    return parser.parse_args(arguments)


def _measure(plan: Plan, parts: Sequence[str]) -> Results:
    date = time.strftime("%Y-%m-%d", time.gmtime())
    results = Results(plan, date, machine.describe(servers.versions()))
    for part in parts:
        print(f"measuring: {part}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as folder:
            results = _PART[part](results, Path(folder))
    return results


_PART: dict[str, Callable[[Results, Path], Results]] = {
    "reference": lambda r, folder: replace(r, sso=measures.reference_alone(folder, r.plan)),
    "sso": lambda r, folder: replace(r, sso=measures.sso(folder, r.plan)),
    "profile": lambda r, _: replace(
        r,
        profiles={
            measures.PRODUCTION: profile.run("postgresql", 3 * r.plan.sign_ins),
            measures.EMBEDDED: profile.run("sqlite", 3 * r.plan.sign_ins),
        },
    ),
    "servers": lambda r, folder: replace(r, servers=measures.wsgi_servers(folder, r.plan)),
    "password": lambda r, folder: replace(r, passwords=measures.passwords(folder, r.plan)),
    "scale": lambda r, folder: replace(r, scale=measures.scale(folder, r.plan)),
    "memory": lambda r, folder: replace(r, residence=measures.residence(folder, r.plan)),
}

if __name__ == "__main__":
    sys.exit(main())
