"""Measures anew what the pages show: `make measured`, half an hour on a machine that does nothing else.

python docs/measure.py [NAME ...]            measure these, or all, and draw them
python docs/measure.py --draw [NAME ...]     draw anew what was measured
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from enfilade.measure import app_rows, samples
from enfilade.measure.app_chart import app_chart
from enfilade.measure.charts import models_chart, save

MEASURED = Path(__file__).parent / "measured"
COMMANDS = {
    "models-none": ["models"],
    "models-io": ["models", "--work", "io:5ms"],
    "models-cpu": ["models", "--work", "cpu:1ms", "--clients", "1,10,100"],
    "app": ["app"],
}
"""Each file of figures, and the arguments of `enfilade bench` that make it."""
CHARTS: dict[str, Callable[[bytes], Figure]] = {
    "models": lambda text: models_chart(samples.read(text)),
    "app": lambda text: app_chart(app_rows.read(text)),
}
"""What each command measures, drawn."""


def measure(name: str) -> None:
    """Writes the figures; the progress is shown."""
    command = [sys.executable, "-m", "enfilade", "bench", *COMMANDS[name], "--json"]
    print("enfilade", *command[3:], file=sys.stderr)
    (MEASURED / f"{name}.json").write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def draw(name: str) -> None:
    chart = CHARTS[COMMANDS[name][0]]((MEASURED / f"{name}.json").read_bytes())
    save(chart, str(MEASURED / f"{name}.svg"))


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if name != "--draw"]
    if unknown := set(names) - set(COMMANDS):
        sys.exit(f"{', '.join(sorted(unknown))}: there are {', '.join(COMMANDS)}")
    for name in names or COMMANDS:
        if "--draw" not in sys.argv:
            measure(name)
        draw(name)
