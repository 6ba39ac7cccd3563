"""Open answers scored by a language model that can be trusted to have spoken: a judge that fails leaves no score.

    settings = JudgeSettings(model="gpt-4o-2024-11-20", budget_tokens=3_000_000, price=(2.5, 10.0))
    judged = judge_cases([Case("v_1_3", "open_qa", {"question": ..., "truth": ..., "reply": ...})], settings)

Any server that speaks the OpenAI protocol is a judge. Verdicts are kept on disk as they arrive, so nothing is paid
twice; failures are counted and named, never scored. `judge_exactly` needs no server, and `agreement` compares two
judges. The prompts are this package's own: a number is comparable only with one of the same judge and prompt version.
"""

from qsv_eval.judge.agreement import Agreement, Kappa, agreement
from qsv_eval.judge.cost import Accounting, JudgeCostEstimate
from qsv_eval.judge.exact_match import judge_exactly
from qsv_eval.judge.rubrics import RUBRICS, Rubric
from qsv_eval.judge.run import JudgeResult, estimate_cost, judge_requests
from qsv_eval.judge.settings import JudgeSettings
from qsv_eval.judge.types import JudgeRequest, Verdict

__all__ = [
    "RUBRICS",
    "Accounting",
    "Agreement",
    "JudgeCostEstimate",
    "JudgeRequest",
    "JudgeResult",
    "JudgeSettings",
    "Kappa",
    "Rubric",
    "Verdict",
    "agreement",
    "estimate_cost",
    "judge_exactly",
    "judge_requests",
]
