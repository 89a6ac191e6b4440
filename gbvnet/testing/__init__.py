"""The contracts of systems and corpora as functions that a user's own test calls: `check_system`, `check_corpus`.

Each raises `ContractBroken`, which lists what was promised, what happened and how to mend it. Needs no pytest.
"""

from .corpora import check_corpus
from .results import CheckResult, ContractBroken
from .synthetic_store import SyntheticStore, SyntheticWindows
from .systems import check_system

__all__ = ["CheckResult", "ContractBroken", "SyntheticStore", "SyntheticWindows", "check_corpus", "check_system"]
