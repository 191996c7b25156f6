"""The book of docs/, by mdBook, and every link between documents."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[3]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def documents():
    folders = [ROOT / "docs", ROOT / "examples", ROOT / "fuzz", ROOT / "packaging"]
    inner = [path for folder in folders for path in sorted(folder.rglob("*.md"))]
    return sorted(ROOT.glob("*.md")) + [path for path in inner if not {"node_modules", "target"} & set(path.parts)]


def anchors(path):
    """Headings as mdBook and GitHub name them."""
    headings = HEADING.findall(FENCE.sub("", path.read_text()))
    plain = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def broken_links():
    broken = []
    for path in documents():
        for link in LINK.findall(FENCE.sub("", path.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            place, _, anchor = link.partition("#")
            target = (path.parent / place).resolve() if place else path
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                broken.append(f"{path.relative_to(ROOT)}: {link}")
    return broken


def built():
    broken = broken_links()
    assert not broken, "broken links:\n" + "\n".join(broken)
    mdbook = pathlib.Path(sys.prefix) / "bin" / "mdbook"
    done = subprocess.run([mdbook, "build", ROOT], capture_output=True, text=True)
    assert done.returncode == 0 and "WARN" not in done.stderr and "ERROR" not in done.stderr, done.stderr[-2000:]
    assert (ROOT / "target" / "book" / "index.html").exists()
    listed = (ROOT / "docs" / "SUMMARY.md").read_text()
    missing = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md") if path.name != "SUMMARY.md"]
    missing = [name for name in missing if f"({name})" not in listed]
    assert not missing, f"docs/SUMMARY.md leaves out {missing}"
