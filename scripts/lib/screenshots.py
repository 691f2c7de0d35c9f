"""What scripts/screenshots does once everything is built. Uses the harness of tests/e2e/lib."""

import itertools
import pathlib
import sys

import browser
from demo_htx import CONFIG
from stack import Stack, wait_for

SIZES = {"desktop": (1300, 1000), "phone": (420, 900)}
RECORDS, MINUTES = 60_000, 10
PAGES = {"page": ("", "document.querySelector('#verdict.up_to_date')"),
         "dashboard": ("#dashboard=locations", "document.querySelector('#board .bar') && document.querySelector('#board svg.line')")}


def main():
    folder = pathlib.Path(sys.argv[1])
    if browser.installed() is None:
        sys.exit("no chromium on the PATH: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with Stack() as stack:
        stack.start_kafka()
        stack.start_postgres()
        stack.generate(RECORDS, events_per_second=RECORDS / (MINUTES * 60), late=0.01)
        worker = stack.run(CONFIG, name="screenshots", threads=1)
        wait_for("the worker", worker.ready, 120, worker.seen)
        wait_for("rows in the view", lambda: (worker.metric("tidemark_view_rows", view="top_list") or 0) > 0, 120, worker.seen)
        address = (worker.state_dir / "http_address").read_text().strip()
        for (size, pixels), scheme, (page, (hash_, there)) in itertools.product(SIZES.items(), ("light", "dark"), PAGES.items()):
            with browser.Browser(pixels, scheme) as tab:
                tab.go(f"http://{address}/{hash_}")
                tab.wait(there, 60)
                path = folder / f"{page}-{size}-{scheme}.png"
                tab.picture(path)
                print(f"{path} {path.stat().st_size // 1024} KiB")
                if tab.console:
                    sys.exit(f"the console says: {tab.console}")


if __name__ == "__main__":
    main()
