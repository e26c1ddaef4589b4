#!/usr/bin/env python3
"""The man pages and completions that packages get: made from --help, complete, and in order."""

import re
import shutil
import subprocess
import sys

from support import ROOT, checks
from support.checks import expect

PAGES = {"milepostd": "milepostd.8", "milepost": "milepost.1", "milepost-fleet": "milepost-fleet.1"}


def helps(ask, words):
    """What `words --help` prints, and its commands' the same way; `ask(words)` returns the output."""
    text = ask([*words, "--help"])
    commands = re.search(r"^Subcommands:\n((?:  .*\n)+)", text, re.M)
    return [text, *(each for line in (commands[1] if commands else "").splitlines() if re.match(r"  \S", line)
                    for each in helps(ask, [*words, line.split()[0]]))]


def flags_are_in(page, ask, program):
    """States that every flag which the program and its commands list is in the page's text."""
    flags = {flag for text in helps(ask, [program]) for line in text.splitlines() if line.startswith("  -")
             for flag in line.split()[0].split(",")}
    missing = sorted(flag for flag in flags if f"\\fB{flag}\\fR" not in page.replace("\\-", "-"))
    expect(flags and not missing, f"{program}: all {len(flags)} flags of --help are in its man page {missing}")


def keys_are_in(page):
    keys = re.findall(r"^#?(\w+) = ", (ROOT / "packaging" / "milepost.toml").read_text(), re.M)
    missing = sorted({key for key in keys if f"\\fB{key} = " not in page})
    expect(keys and not missing, f"milepost.toml: all {len(set(keys))} keys are in its man page {missing}")


def test():
    with checks.scratch() as folder:
        programs = checks.program("milepostd").parent
        subprocess.run([sys.executable, ROOT / "packaging" / "man" / "make.py", "--bin", programs, "--out", folder],
                       check=True)
        for program, page in PAGES.items():
            flags_are_in((folder / page).read_text(), lambda words: subprocess.run(
                [str(checks.program(words[0])), *words[1:]], capture_output=True, text=True).stdout, program)
        keys_are_in((folder / "milepost.toml.5").read_text())
        left = [page.name for page in folder.glob("*.[158]") if re.search(r"^@", page.read_text(), re.M)]
        expect(not left, f"no line of a page is left to be replaced {left}")
        for page in folder.glob("*.[158]") if shutil.which("groff") else ():
            said = subprocess.run(["groff", "-man", "-ww", "-z", "-Kutf8", page], capture_output=True, text=True).stderr
            expect(not said, f"groff has nothing to say of {page.name} {said[:200]}")
        for script in (folder / "completions").iterdir():
            expect(subprocess.run(["bash", "-n", script]).returncode == 0, f"bash reads the completion of {script.name}")


if __name__ == "__main__":
    checks.run(test)
