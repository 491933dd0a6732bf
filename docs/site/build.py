"""Build the site of docs/: the repository's Markdown as it lies, and pages that are made from docstrings.

    python docs/site/build.py          writes .site/html, and fails at a link that leads nowhere
    python docs/site/build.py errors   writes docs/errors.md anew: the repository has it, as errors name it
    python docs/site/build.py serve    writes it again whenever a page changes, and serves it on loopback

Pages are links to the files that they are, laid out as the repository is, so that links between them hold
in both. A file that a page links to and that is no page comes along as it is.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from reference import commands_page, errors_page, python_page

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = REPOSITORY / ".site"
PAGES = SITE / "pages"
CONFIG = Path(__file__).with_name("zensical.toml")
COMMITTED = "docs/errors.md"  # made of docstrings too; errors name it, so it is in the repository as well
GENERATED = {"docs/api.md": python_page, "docs/commands.md": commands_page, "docs/errors.md": errors_page}
WRITTEN = ["README.md", "CHANGELOG.md", "docs/*.md", "deploy/README.md", "examples/README.md"]


def main(verb: str = "build") -> int:
    """Lay the pages out and let Zensical build or serve them; return its exit code."""
    if verb == "errors":
        (REPOSITORY / COMMITTED).write_text(errors_page(), encoding="utf-8")
        return 0
    written = sorted(path for pattern in WRITTEN for path in REPOSITORY.glob(pattern))
    problems = [*_unlisted(written)]
    linked = set()
    for page in written:
        for target in _targets(page.read_text(encoding="utf-8")):
            file = (page.parent / target).resolve()
            if not file.is_file() and file.relative_to(REPOSITORY).as_posix() not in GENERATED:
                problems.append(f"{page.relative_to(REPOSITORY)}: {target} is no file.")
            linked.add(file)
    if problems:
        sys.stderr.write("".join(f"{problem}\n" for problem in problems))
        return 1
    _lay_out({*written, *(file for file in linked if file.is_file())})
    strict = ["--strict", "--clean"] if verb == "build" else []
    zensical = Path(sys.executable).with_name("zensical")
    done = subprocess.run([zensical, verb, *strict], cwd=SITE, check=False)
    return done.returncode


def _lay_out(files: set[Path]) -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    for file in files:
        place = PAGES / file.relative_to(REPOSITORY)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    for name, page in GENERATED.items():
        (PAGES / name).unlink(missing_ok=True)  # the link to a page that the repository has as well
        (PAGES / name).write_text(page(), encoding="utf-8")
    shutil.copy(CONFIG, SITE)


def _unlisted(written: list[Path]) -> Iterator[str]:
    """Yield what is a page and not in the navigation, or the other way round."""
    listed = set(re.findall(r'"([\w/.-]+\.md)"', CONFIG.read_text(encoding="utf-8")))
    pages = {path.relative_to(REPOSITORY).as_posix() for path in written} | set(GENERATED)
    yield from (
        f"{page}: add it to the navigation in docs/site/zensical.toml." for page in sorted(pages - listed)
    )
    yield from (f"docs/site/zensical.toml: there is no {page}." for page in sorted(listed - pages))


def _targets(text: str) -> Iterator[str]:
    """Yield the files that a page links to, as it writes them; Zensical looks at anchors."""
    prose = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`\n]+`(?!\])", "", prose)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path = target.partition("#")[0]
        if path and "://" not in path and not path.startswith("mailto:"):
            yield path


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
