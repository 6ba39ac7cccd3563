from qsv_eval.model_adapters.frames.codeversion import code_version

CODE = "def f(a):\n    return a + 1\n"


def test_only_code_counts(tmp_path):
    def version(text: str, name: str = "a.py") -> str:
        (tmp_path / name).write_text(text)
        return code_version([tmp_path / name])

    original = version(CODE)
    assert len(original) == 12
    assert version('"""What it is."""\n\n\ndef f(a):  # why\n    """Add one."""\n    return (a + 1)\n') == original
    assert version("def f(a):\n    return a + 2\n") != original
    assert version("def f(a):\n    return 'a' + '1'\n") != original
    assert version(CODE, "b.py") != original
