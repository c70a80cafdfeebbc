"""What other libraries keep private is used in one place each, and is still what that place was made for."""

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import snakemake_logger_plugin_starglot as lines
from refusals import refused
from starglot.workflow import advice
from starglot.workflow.rebuilds.plan import show_graph

#: Private names of other libraries, by the one file that may use them.  Each says there why, and of which release.
PLACES = {
    "src/starglot/workflow/rebuilds/plan.py": {"_prepare_dag", "_build_dag"},  # snakemake
    "src/starglot/commands/completion.py": {"_actions"},  # argparse; tests/unit/commands/test_completion.py holds it
    "src/starglot/inference/decode.py": {"_attn_implementation"},  # transformers
    "src/starglot/training/deepspeed.py": {"__compatible_ops__", "_prepare_backend"},  # deepspeed, accelerate
}
#: Documented, for all their underscores.
PUBLIC = {"_exit", "_replace", "_asdict", "_fields"}
SOURCES = ("src", "workflow/scripts", "benchmarks", "tests")


def text_of(library: str, file: str = "") -> str:
    """Source of a library, or of one of its files, without importing it: some take seconds."""
    folder = Path(importlib.util.find_spec(library).submodule_search_locations[0])
    return "".join(path.read_text() for path in ([folder / file] if file else sorted(folder.rglob("*.py"))))


def is_private(name: str) -> bool:
    return (name.startswith("_") and not re.fullmatch(r"__\w+__", name)) or name == "__compatible_ops__"


def test_private_names_of_others_stand_in_one_place(project: Path) -> None:
    own, used = set(), {}
    for path in (path for source in SOURCES for path in (project / source).rglob("*.py")):
        used[str(path.relative_to(project))] = names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and is_private(node.attr):
                on_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                (own if on_self and isinstance(node.ctx, ast.Store) else names).add(node.attr)
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("starglot", "__")):
                dotted = f"{node.module}." + ".".join(alias.name for alias in node.names)
                names |= {part for part in dotted.split(".") if is_private(part)}
    del used[str(Path(__file__).relative_to(project))]
    foreign = {path: names - own - PUBLIC for path, names in used.items() if names - own - PUBLIC}
    assert foreign == PLACES


def test_snakemake_builds_its_graph_in_the_same_two_steps() -> None:
    from snakemake.cli import parse_config  # noqa: F401  # first: the workflow's module cannot be imported by itself
    from snakemake.workflow import Workflow

    source = inspect.getsource(Workflow.summary)
    assert source.index("self._prepare_dag(") < source.index("self._build_dag()") < source.index("self.dag.summary(")
    given = {"forceall", "ignore_incomplete", "lock_warn_only"}
    parameters = inspect.signature(Workflow._prepare_dag).parameters.values()
    needed = {one.name for one in parameters if one.default is one.empty and one.name != "self"}
    assert needed <= given <= {one.name for one in parameters}


def test_another_snakemake_is_refused_before_it_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake.__version__", "10.0.0")
    with refused(where="snakemake 10.0.0", allowed="snakemake 9", todo="make setup"):
        show_graph([], lambda workflow: None)


def test_snakemake_still_cuts_groups_with_what_is_made_anew_for_it() -> None:
    from snakemake.cli import parse_config  # noqa: F401  # first: the graph's module cannot be imported by itself
    from snakemake.dag import DAG
    from snakemake.jobs import GroupJobFactory

    assert "self.group_job_factory.new(" in inspect.getsource(DAG.update_groups)
    assert "self.cache" in inspect.getsource(GroupJobFactory.new)  # without it, starglot.workflow.groups can go


def test_snakemake_says_what_our_lines_and_advice_wait_for() -> None:
    source = text_of("snakemake")
    for words in (*lines._TOLD, *lines._STOPPING, "At least one job did not complete successfully"):
        assert words in source, words
    assert advice._NO_RULE.pattern.partition(" (")[0] in source
    assert all(f"class {name}(" in source for name in ("LockException", "MissingRuleException"))


def test_accelerate_and_deepspeed_ask_where_a_try_on_the_cpu_answers() -> None:
    from accelerate.state import PartialState

    assert "self._prepare_backend(" in inspect.getsource(PartialState.__init__)
    returned = inspect.signature(PartialState._prepare_backend).return_annotation
    assert str(returned).replace(" ", "") == "tuple[str,DistributedType]"
    assert "deepspeed.ops.__compatible_ops__.get(builder.NAME" in text_of("deepspeed", "comm/torch.py")
    assert 'NAME = "deepspeed_shm_comm"' in text_of("deepspeed", "ops/op_builder/cpu/comm.py")


def test_bitsandbytes_looks_at_the_switch_of_its_kernel_for_processors() -> None:
    modules = pytest.importorskip("bitsandbytes.nn.modules")
    assert hasattr(modules.Linear4bit(64, 64), "support_avx512bf16_for_cpu")
    assert "self.support_avx512bf16_for_cpu" in inspect.getsource(modules.Linear4bit.forward)


def test_transformers_says_which_attention_was_chosen() -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    from starglot.inference.decode import attention_of

    tiny = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=9)
    for kind in ("eager", "sdpa"):
        assert attention_of(AutoModelForCausalLM.from_config(tiny, attn_implementation=kind)) == kind
