"""A known vulnerability fails the build; a service that is not reached does not, and is reported."""

import sys

import pytest

from .vulnerabilities import AuditResult, ask, audit_result

SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "av", "version": "1.0", "vulns": [
    {"id": "PYSEC-1", "fix_versions": ["2.0", "1.1"], "aliases": [], "description": ""},
    {"id": "PYSEC-2", "fix_versions": [], "aliases": [], "description": ""},
]}  # fmt: skip


@pytest.mark.parametrize(
    ("packages", "bad", "text"),
    [
        ([SOUND], False, "1 packages audited, 0 known vulnerabilities"),
        ([SOUND, SKIPPED], False, "1 packages audited, 0 known vulnerabilities; not known to the service: torch"),
        ([SKIPPED, SKIPPED], False, "NOT AUDITED: the service knows none of 2 packages, so it was not reached"),
        ([BAD, SOUND], True,
         "av 1.0: PYSEC-1, put right in 2.0, 1.1\nav 1.0: PYSEC-2\n2 packages audited, 2 known vulnerabilities"),
    ],
)  # fmt: skip
def test_the_answer_of_the_service_is_reported_and_only_a_vulnerability_is_bad(packages, bad, text):
    assert audit_result(packages) == AuditResult(text, bad)


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("import sys; sys.exit('no route to host')", "NOT AUDITED: no route to host"),
        ("import time; time.sleep(9)", "NOT AUDITED: no answer within 0.5 s"),
        ("print('[]')", "NOT AUDITED: no output"),
    ],
)
def test_a_service_that_does_not_answer_is_reported_and_not_bad(program, text):
    assert ask([sys.executable, "-c", program], 0.5 if "sleep" in program else 60) == AuditResult(text, False)


def test_a_vulnerability_is_bad_whatever_pip_audit_ends_with():
    program = 'import json, sys; print(json.dumps({"dependencies": %r})); sys.exit(1)' % [BAD]
    assert ask([sys.executable, "-c", program], 60).bad
