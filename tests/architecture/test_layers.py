"""Imports go down only, and decisions stay pure: the contracts of setup.cfg hold."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_contracts_of_the_layers_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_keys_import_nothing_of_ours() -> None:
    program = (
        "import keys.keyring, keys.store, keys.jwt, keys.sealing, keys.signer, sys;"
        "print([n for n in sys.modules if n.split('.')[0] in ('idp', 'flows', 'federation')])"
    )
    answer = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)
    assert answer == "[]\n"
