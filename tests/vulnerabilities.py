"""python -m tests.vulnerabilities: asks pip-audit about what is installed here. `make audit-deps`.

Ends with 1 if a package has a known vulnerability. Where the service that knows them cannot be reached it says so and
ends with 0, so that a build without a network is none the worse; pip-audit itself, which is told "not found" by some
mirrors, would then call everything sound.
"""

import json
import subprocess
import sys
from typing import NamedTuple

TIME_S = 240  # for all packages; where nothing answers, each is waited for


class Told(NamedTuple):
    text: str
    bad: bool


def main() -> int:
    told = ask(
        [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner=off", "-f", "json"]
    )
    print(told.text)
    return int(told.bad)


def ask(command: list[str], time_s: float = TIME_S) -> Told:
    """Run pip-audit, and say what came of it."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=time_s, check=False)
        return verdict(json.loads(done.stdout)["dependencies"])
    except subprocess.TimeoutExpired:
        why = f"no answer within {time_s:g} s"
    except (ValueError, KeyError, TypeError):  # it ends with a traceback if it cannot reach the service
        why = ([line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"])[-1][:300]
    return Told(f"NOT AUDITED: {why}", False)


def verdict(packages: list[dict]) -> Told:
    """From pip-audit's list of packages, each with its vulnerabilities or the reason why it was skipped."""
    skipped = [p["name"] for p in packages if "skip_reason" in p]
    known = len(packages) - len(skipped)
    lines = [
        f"{p['name']} {p['version']}: {v['id']}"
        + (f", put right in {', '.join(v['fix_versions'])}" * bool(v["fix_versions"]))
        for p in packages
        for v in p.get("vulns", ())
    ]
    if not known:
        return Told(f"NOT AUDITED: the service knows none of {len(packages)} packages, so it was not reached", False)
    said = f"{known} packages audited, {len(lines)} known vulnerabilities"
    left = f"; not known to the service: {', '.join(skipped)}" if skipped else ""
    return Told("\n".join([*lines, said + left]), bool(lines))


if __name__ == "__main__":
    sys.exit(main())
