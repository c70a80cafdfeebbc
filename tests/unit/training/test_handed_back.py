"""Finished work that is handed back costs a second, not the start of what made it."""

import subprocess
import sys


def test_work_that_is_handed_back_waits_for_no_torch():
    code = (
        "import sys, starglot.training.finetune, starglot.training.pretrain, starglot.inference.predict\n"
        "sys.exit(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
