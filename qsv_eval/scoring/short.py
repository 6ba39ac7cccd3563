def exact_match(r,a): return float(r.lower() in [x.lower() for x in a])
vqa_accuracy=relaxed_accuracy=anls=exact_match
