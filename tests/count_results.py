#!/usr/bin/env python3
"""Adds up ctest's JUnit files of a folder and prints the one line that ends tests/run.sh.

Exit 1: something failed, or nothing ran.
"""

import pathlib
import sys
import xml.etree.ElementTree


def count(folder):
    passed = failed = skipped = 0
    for path in sorted(folder.glob("*.xml")):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            if case.find("failure") is not None or case.get("status") == "fail":
                failed += 1
            elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
                skipped += 1
            else:
                passed += 1
    return passed, failed, skipped


def main():
    passed, failed, skipped = count(pathlib.Path(sys.argv[1]))
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
