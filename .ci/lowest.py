"""Print constraints for pip: all that setup.cfg asks for, the tests' tools too, at its lowest version."""

import configparser
import pathlib
import re

config = configparser.ConfigParser()
config.read(pathlib.Path(__file__).parents[1] / "setup.cfg")
asked = config["options"]["install_requires"] + config["options.extras_require"]["test"]
for line in asked.strip().splitlines():
    found = re.match(r"([\w-]+)(?:\[[\w-]+\])?>=([\d.]+)", line)
    if not found:
        raise SystemExit(f"setup.cfg: {line!r} names no lowest version")
    print(f"{found[1]}=={found[2]}")
