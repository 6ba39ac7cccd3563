from qsv_eval.scoring.extract import Extracted
YES_NO_EXTRACTOR="y"
def extract_yes_no(reply): return Extracted(reply.lower().strip(". ") or None,"x")
