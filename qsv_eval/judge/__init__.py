"""Open answers scored by a language model as judge.

    settings = JudgeSettings(model="gpt-4o-2024-11-20", budget_tokens=3_000_000, price=(2.5, 10.0))
    request = JudgeRequest("v_1_3", "open_qa", {"question": ..., "truth": ..., "reply": ...})
    result = judge_requests([request], settings)

Any server with the OpenAI protocol can judge. Verdicts are cached on disk as they arrive; failures are counted and
reported, never scored. `judge_exactly` needs no server, and `agreement` compares two judges. The prompts are this
package's own, so compare scores only between the same judge and rubric version.
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
