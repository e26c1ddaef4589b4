"""What the system tests share. Importing it makes tests/kafka importable too."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))
