import subprocess
import sys

from qsv_eval.scoring import exact_match, extract_letter, extract_number, extract_yes_no


def test_the_package_exports_extractors_and_exact_match():
    assert extract_letter("The answer is (B).", "ABCD", ["A. red", "B. green"]).answer == "B"
    assert extract_yes_no("Yes, there is.").answer == "yes"
    assert extract_number("There are 3 dogs.").answer == "3"
    assert exact_match("a Dog.", ["cat", "A dog"]) == 1.0
    assert exact_match("a dog", ["cat"]) == 0.0


def test_the_package_is_light_to_import():
    code = "import sys, qsv_eval.scoring; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "openai", "lmms_eval"} & set(done.stdout.split())
