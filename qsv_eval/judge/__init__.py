"""Open answers scored by a language model that can be trusted to have spoken: a judge that fails leaves no score.

    settings = JudgeSettings(model="gpt-4o-2024-11-20", budget_tokens=3_000_000, price=(2.5, 10.0))
    judged = judge_cases([Case("v_1_3", "open_qa", {"question": ..., "truth": ..., "reply": ...})], settings)

Any server that speaks the OpenAI protocol is a judge. Verdicts are kept on disk as they arrive, so nothing is paid
twice; failures are counted and named, never scored. `judge_exactly` needs no server, and `agreement` compares two
judges. The prompts are this package's own: a number is comparable only with one of the same judge and prompt version.
"""

from qsv_eval.judge.accounting import Accounting, Estimate
from qsv_eval.judge.agreement import Agreement, Kappa, agreement
from qsv_eval.judge.case import Case, Verdict
from qsv_eval.judge.exact import judge_exactly
from qsv_eval.judge.protocols import PROTOCOLS, Protocol
from qsv_eval.judge.run import Judged, estimate, judge_cases
from qsv_eval.judge.settings import JudgeSettings

__all__ = [
    "PROTOCOLS",
    "Accounting",
    "Agreement",
    "Case",
    "Estimate",
    "JudgeSettings",
    "Judged",
    "Kappa",
    "Protocol",
    "Verdict",
    "agreement",
    "estimate",
    "judge_cases",
    "judge_exactly",
]
