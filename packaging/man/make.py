#!/usr/bin/env python3
"""Man pages and bash completion, from what the programs say themselves: `--help` and the commented configuration.

    make.py --bin DIR --out DIR

Each page is a text of packaging/man with lines that are replaced:
    @OPTIONS program@   the options that `program --help` lists
    @COMMANDS program@  a section with the same for each of its commands, however deep; none without
    @KEYS@              every key of packaging/milepost.toml
"""

import argparse
import datetime
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
CONFIGURATION = HERE.parent / "milepost.toml"
PAGES = ["milepost.1", "milepost-fleet.1", "milepost.toml.5", "milepostd.8"]
PROGRAMS = ["milepost", "milepost-fleet", "milepostd"]
COLUMN = 30  # where CLI11 begins a description; a longer name has it on the next line


class Help:
    """One `--help`, read: what it says, and its options, positionals and commands as (name, text)."""

    def __init__(self, bin_folder, words):
        program = [str(bin_folder / words[0]), *words[1:], "--help"]
        lines = subprocess.run(program, check=True, capture_output=True, text=True).stdout.splitlines()
        usage = next(i for i, line in enumerate(lines) if line.startswith("Usage:"))
        self.words = words
        self.about = " ".join(line.strip() for line in lines[:usage]).strip()
        self.sections = {}
        entries = None
        for line in lines[usage + 1:]:
            if re.fullmatch(r"\S.*:", line):
                entries = self.sections.setdefault(line[:-1], [])
            elif re.match(r"  \S", line) and entries is not None:
                fits = len(line) > COLUMN and line[COLUMN - 2:COLUMN].strip() == ""
                entries.append([line[:COLUMN].strip(), line[COLUMN:]] if fits else [line.strip(), ""])
            elif line.strip() and entries:
                entries[-1][1] = f"{entries[-1][1]}\n{line.strip()}".strip("\n")
        self.commands = [Help(bin_folder, [*words, name]) for name, _ in self.sections.pop("Subcommands", [])]

    def flags(self):
        """Every flag it lists, -x and --long alike."""
        return [flag for entries in self.sections.values() for name, _ in entries
                for flag in name.split()[0].split(",") if flag.startswith("-")]

    def everything(self):
        yield self
        for command in self.commands:
            yield from command.everything()


def roff(text):
    """Text as roff prints it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def entry(name, text):
    """One option: its name as CLI11 prints it is `-f,--flag TYPE:CHECK=DEFAULT … Excludes: --other`."""
    flag, _, rest = name.partition(" ")
    needed = "REQUIRED" in rest.split()
    rest = re.sub(r"\s*\b(Excludes|Needs): .*|\s*\bREQUIRED\b|\s*\.\.\.$", "", rest)
    shape = re.match(r"(?P<type>[^:=\s]*)(?::(?P<check>[^=]*))?(?:=(?P<default>.*))?$", rest)
    notes = []
    if shape and shape["check"]:
        limits = re.search(r"\[(.*) - (.*)\]", shape["check"])
        choices = re.search(r"\{(.*)\}", shape["check"])
        if limits:
            notes.append(f"From {limits[1]} to {limits[2]}.")
        elif choices:
            notes.append(f"One of {choices[1].replace(',', ', ')}.")
    if shape and shape["default"]:
        notes.append(f"Default: {shape['default']}.")
    if needed:
        notes.append("Required.")
    kind = shape["type"] if shape else rest
    head = ", ".join(rf"\fB{roff(part)}\fR" for part in flag.split(","))
    text = text if not text or text.endswith(".") or not notes else text + "."
    body = "\n.br\n".join(roff(line) for line in text.split("\n"))
    return f".TP\n{head}{' ' + chr(92) + 'fI' + roff(kind) + chr(92) + 'fR' if kind else ''}\n" + \
        body + ("\n" + roff(" ".join(notes)) if notes else "") + "\n"


def options(page):
    return "".join(entry(*each) for entries in page.sections.values() for each in entries)


def commands(page):
    parts = []
    for command in page.everything():
        if command is not page:
            parts.append(f".SS {roff(' '.join(command.words[1:]))}\n{roff(command.about)}.\n{options(command)}")
    return ".SH COMMANDS\n" + "".join(parts) if parts else ""


def keys(text):
    """The commented configuration as roff: `# text` belongs to the key or table behind it."""
    parts, comment = [], []
    for line in text.splitlines():
        if line.startswith("# "):
            comment.append(line[2:])
            continue
        table = re.fullmatch(r"#?(\[\[?[\w.]+\]\]?)", line)
        key = re.fullmatch(r"#?(\"?[\w.]+\"? = .*)", line)
        said = roff(re.sub(r"\n(?=\w+: )", "\n.br\n", "\n".join(comment))).replace("\\&.br", ".br")
        if table:
            parts.append(f".SS {roff(table[1])}\n{said}\n" if said else f".SS {roff(table[1])}\n")
        elif key:
            parts.append(f".TP\n\\fB{roff(key[1])}\\fR\n{said or '.'}\n")
        elif said and not line:
            parts.append(f".P\n{said}\n")
        comment = []
    return "".join(parts)


def completion(page):
    """Commands and flags; what follows a flag is left to the shell."""
    name = page.words[0].replace("-", "_")
    cases = "".join(
        f"        {command.words[1]}) words='{' '.join(command.flags())}' ;;\n" for command in page.commands)
    first = " ".join([*(command.words[1] for command in page.commands), *page.flags()])
    return (f"# bash completion of {page.words[0]}, made from its --help\n_{name}() {{\n    local words\n"
            f"    case \"${{COMP_WORDS[1]}}\" in\n{cases}        *) words='{first}' ;;\n    esac\n"
            "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n}\n"
            f"complete -o default -F _{name} {page.words[0]}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where the programs are")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    helps = {name: Help(chosen.bin, [name]) for name in PROGRAMS}
    version = subprocess.run([str(chosen.bin / "milepostd"), "--version"], check=True, capture_output=True,
                             text=True).stdout.split()[1]
    # Reproducible: Debian's builds set the moment.
    moment = int(os.environ.get("SOURCE_DATE_EPOCH", "0")) or None
    day = (datetime.datetime.fromtimestamp(moment, datetime.timezone.utc) if moment
           else datetime.datetime.now(datetime.timezone.utc)).strftime("%Y-%m-%d")
    makers = {"OPTIONS": lambda name: options(helps[name]), "COMMANDS": lambda name: commands(helps[name]),
              "KEYS": lambda _: keys(CONFIGURATION.read_text())}

    (chosen.out / "completions").mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        text = (HERE / f"{page}.in").read_text().replace("@DATE@", day).replace("@VERSION@", version)
        text = re.sub(r"^@([A-Z]+)(?: (\S+))?@\n", lambda match: makers[match[1]](match[2]), text, flags=re.M)
        (chosen.out / page).write_text(text)
    for name, page in helps.items():
        (chosen.out / "completions" / name).write_text(completion(page))


if __name__ == "__main__":
    main()
