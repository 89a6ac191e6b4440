"""python -m tests.vulnerabilities: asks pip-audit about what is installed here. `make audit-deps`.

Ends with 1 if a package has a known vulnerability. Where the service that knows them cannot be reached it says so and
ends with 0, so that a build without a network is none the worse; pip-audit itself, which gets "not found" from some
mirrors, would then call everything sound.
"""

import json
import subprocess
import sys
from typing import NamedTuple

TIME_S = 240  # for all packages; where nothing answers, each is waited for


class AuditResult(NamedTuple):
    text: str
    bad: bool


def main() -> int:
    result = ask(
        [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner=off", "-f", "json"]
    )
    print(result.text)
    return int(result.bad)


def ask(command: list[str], time_s: float = TIME_S) -> AuditResult:
    """Run pip-audit and return its result."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=time_s, check=False)
        return audit_result(json.loads(done.stdout)["dependencies"])
    except subprocess.TimeoutExpired:
        why = f"no answer within {time_s:g} s"
    except (ValueError, KeyError, TypeError):  # it ends with a traceback if it cannot reach the service
        why = ([line for line in done.stderr.splitlines() if line.strip()] or ["no output"])[-1][:300]
    return AuditResult(f"NOT AUDITED: {why}", False)


def audit_result(packages: list[dict]) -> AuditResult:
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
        text = f"NOT AUDITED: the service knows none of {len(packages)} packages, so it was not reached"
        return AuditResult(text, False)
    summary = f"{known} packages audited, {len(lines)} known vulnerabilities"
    left = f"; not known to the service: {', '.join(skipped)}" if skipped else ""
    return AuditResult("\n".join([*lines, summary + left]), bool(lines))


if __name__ == "__main__":
    sys.exit(main())
