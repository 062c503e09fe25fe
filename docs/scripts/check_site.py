"""Fails where a page of the built site loads anything from a network: `check_site.py site`."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

# Elements that a browser loads by itself, and the attribute that names what.
LOADED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href",
    "object": "data", "use": "href", "image": "href",
}  # fmt: skip
NETWORK = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
STYLE_ADDRESS = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")]+)")


class Assets(HTMLParser):
    """Collects the addresses of a page's assets that lie in a network."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element; a canonical link names the page and loads nothing."""
        values = dict(attrs)
        if "mermaid" in (values.get("class") or "").split():
            self.found.append("the script that draws Mermaid, which the theme takes from a network")
        address = values.get(LOADED.get(tag, "")) or ""
        if values.get("rel") != "canonical" and NETWORK.match(address):
            self.found.append(address)


def network_assets(page: Path) -> list[str]:
    """Addresses in a network that a page, a style sheet or a drawing loads."""
    text = page.read_text()
    assets = Assets()
    if page.suffix == ".html":
        assets.feed(text)
    return [*assets.found, *STYLE_ADDRESS.findall(text)]


def main(site: Path) -> int:
    """Print each fault; 1 where there is one."""
    pages = [path for path in site.rglob("*") if path.suffix in {".html", ".css", ".svg"}]
    faults = [f"{page}: {address}" for page in pages for address in network_assets(page)]
    print("\n".join(faults) or f"{len(pages)} files load nothing from a network.")
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
