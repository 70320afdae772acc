"""The example of docs/audit.md, run: sound foreign models pass, and a real leak of a real library is named."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "audit_your_own.py"


@pytest.mark.filterwarnings("ignore")
def test_foreign_models_are_audited() -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("x_transformers")
    specification = importlib.util.spec_from_file_location("audit_your_own", EXAMPLE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    reports = module.reports()
    leaky = reports.pop("x-transformers, orthog_residual")
    assert {f.check for f in leaky.broken} >= {"sees no future", "text reaches no earlier answer"}
    assert "it has seen the future" in leaky["sees no future"].detail and not leaky.passed
    for name, report in reports.items():
        assert report.passed, f"{name}: {report.as_text()}"
        assert sum(f.verdict == "kept" for f in report.findings) >= 10
