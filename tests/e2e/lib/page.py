"""The page as a reader has it: in a browser, which is installed where it is missing; and whether its colours can be read."""

import itertools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(os.environ.get("TIDEMARK_ROOT", pathlib.Path(__file__).resolve().parents[3]))
FOLDER = ROOT / "src/status/page"
CSS = FOLDER / "page.css"
SIZES = {"desktop": (1300, 1400), "phone": (500, 1400)}
SCHEMES = {"dark": 0, "light": 1}
AA = 4.5  # the contrast that WCAG asks of text
TEXTS = ("ink", "soft", "alert", "good")  # colours of text, and what it stands on
GROUNDS = ("ground", "card", "busy", "hot")


def browser():
    if shutil.which("chromium") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL)
    return "chromium"


def look(url, size, scheme, picture):
    """(the page's text as HTML once it has asked a few times, what the console said)"""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
                   f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--virtual-time-budget=6000",
                   f"--window-size={size[0]},{size[1]}", "--enable-logging=stderr"]
        shown = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, timeout=120)
        subprocess.run([*command, f"--screenshot={picture}", url], capture_output=True, timeout=120, check=True)
    console = [line for line in shown.stderr.splitlines() if ":CONSOLE" in line]
    return shown.stdout, console


def check(url, folder):
    for (name, size), scheme in itertools.product(SIZES.items(), SCHEMES):
        html, console = look(f"{url}#node=counts&view=totals&show=bars&x=item&y=n", size, scheme, folder / f"{name}-{scheme}.png")
        assert not console, console
        for wanted in ('class="up_to_date"', 'class="spark"|The history begins', 'class="bar"', "item 6", "rows/s", "Views"):
            assert re.search(wanted, html), f"{name}, {scheme}: {wanted}\n{html[-3000:]}"


def unknown_names():
    """Ids and classes that the script looks for and nothing makes, and classes that it gives and no style knows."""
    script, page, style = ((FOLDER / name).read_text() for name in ("page.js", "page.html", "page.css"))
    picture = (ROOT / "src/status/graph_svg.cc").read_text().replace('\\"', '"')
    ids = set(re.findall(r'id="([\w-]+)"', page)) | set(re.findall(r"\{id: '([\w-]+)'", script))
    given = set(re.findall(r"\bclass: '([\w-]+)'", script)) | set(re.findall(r"classList\.toggle\('([\w-]+)'", script))
    drawn = {name for names in re.findall(r'class="([^"%]+)', picture) for name in names.split()}
    styled = set(re.findall(r"\.([a-z][\w-]*)", style + picture))
    sought = set(re.findall(r"querySelector(?:All)?\([`']([^`']*)", script)) | {
        f".{name}" for name in re.findall(r"(?<!\.)\bset\('([\w-]+)'", script)}
    sought = {name for selector in sought for name in re.findall(r"\.([a-z][\w-]*)", re.sub(r"\[.*", "", selector))}
    return (set(re.findall(r"\bat\('([\w-]+)'\)", script)) - ids) | (sought - drawn) | (given - styled)


def luminance(colour):
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return sum(weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
               for weight, c in zip((0.2126, 0.7152, 0.0722), channels))


def contrasts():
    """{(scheme, text, ground): contrast} of all texts of the page."""
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
                   for block in re.findall(r":root \{(.*?)\}", CSS.read_text(), re.S))
    found = {}
    for scheme, colours in (("light", light), ("dark", dark)):
        for text, ground in itertools.product(TEXTS, GROUNDS):
            if ground in ("busy", "hot") and text not in ("ink", "soft"):
                continue  # boxes of the picture have no other text
            a, b = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            found[scheme, text, ground] = (a + 0.05) / (b + 0.05)
    return found
