"""What a network learns when it goes on from a trained one: all weights, updates of some, a correction, nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from starglot.config.bases.encoders import EncoderTransfer
from starglot.config.transfer import NetworkTransfer
from starglot.errors import StarglotError
from starglot.models.baselines.networks import OF_CLASS, OF_LABELS
from starglot.models.baselines.residual import Corrected
from starglot.models.baselines.updates import LowRank

#: Turns what was trained into what is saved.
Finish = Callable[[], nn.Module]


def prepare(
    network: nn.Module,
    transfer: NetworkTransfer,
    fresh: Collection[str],
    inputs: int,
    labels: Sequence[str],
    groups: int,
) -> tuple[nn.Module, Finish]:
    """The network to train, from one that has the weights of its start, and what makes of it the one to save.

    fresh: names of weights that the start has not learnt; inputs: features; labels: what it tells; groups: outputs
    that tell the group.
    What is drawn, is drawn from torch's generator.
    Raises StarglotError when a strategy that adds to the start's answers finds labels or groups that it has not
    learnt, and when no layer has a name that was asked for.
    """
    if transfer.strategy in ("residual", "zero_shot"):
        _require_learnt(transfer.strategy, fresh, labels, groups)
    if transfer.strategy == "residual":
        corrected = Corrected(network, inputs, transfer.hidden, len(labels))
        return corrected, lambda: corrected
    if transfer.strategy == "lora":
        updated = Updated(network, transfer, fresh)
        return updated, updated.merged
    return network, lambda: network


def learner_of(network: nn.Module, transfer: EncoderTransfer | None) -> nn.Module:
    """What is trained of a base that has learnt before: all of it, or updates of some layers."""
    if transfer is None or transfer.strategy == "full":
        return network
    return Updated(network, transfer, ())


class Updated(nn.Module):
    """A network with low-rank updates (LoRA, by PEFT) of chosen layers, which alone are trained.

    Weights that the start has not learnt are trained in full.  Batch normalisation keeps the start's statistics: all
    that is not trained stays bit for bit.
    """

    def __init__(self, network: nn.Module, transfer: NetworkTransfer | EncoderTransfer, fresh: Collection[str]):
        from peft import LoraConfig, get_peft_model  # takes seconds to import, which no other strategy waits for

        super().__init__()
        chosen = _chosen_layers(network, transfer.layers, fresh)
        config = LoraConfig(
            r=transfer.rank,
            lora_alpha=transfer.alpha,
            lora_dropout=0.0,
            target_modules="|".join(re.escape(name) for name in chosen),
            bias="none",
        )
        new = [weight for name, weight in network.named_parameters() if name in fresh]
        self.network = get_peft_model(network, config)
        for weight in new:
            weight.requires_grad_(True)

    def forward(self, features: Tensor) -> Any:
        """What the network makes of its features."""
        return self.network(features)

    def train(self, mode: bool = True) -> Updated:
        """Statistics of a normalisation that is not trained stay as they are."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d) and not any(each.requires_grad for each in module.parameters()):
                module.eval()
        return self

    def updates(self) -> dict[str, LowRank]:
        """What has been learnt, by the layer's name; to be taken before :meth:`merged`."""
        found = {}
        adapted: Any = self.network
        for name, module in adapted.base_model.model.named_modules():
            if hasattr(module, "lora_A"):
                (adapter,) = module.active_adapters
                a, b = (each[adapter].weight.detach().cpu().numpy() for each in (module.lora_A, module.lora_B))
                found[name] = LowRank(a, b, float(module.scaling[adapter]))
        return found

    def merged(self) -> nn.Module:
        """The network itself, its layers' weights with the updates added."""
        whole: nn.Module = self.network.merge_and_unload()
        return whole


def _chosen_layers(network: nn.Module, patterns: Sequence[str], fresh: Collection[str]) -> list[str]:
    layers = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d) and f"{name}.weight" not in fresh
    ]
    chosen = [name for name in layers if any(fnmatchcase(name, pattern) for pattern in patterns)]
    unused = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in layers)]
    if unused or not chosen:
        raise StarglotError(
            f"no dense or convolutional layer is called {', '.join(unused)}",
            where="models: transfer: layers",
            allowed=", ".join(layers),
            todo="name layers of this network; * stands for all",
        )
    return chosen


def _require_learnt(strategy: str, fresh: Collection[str], labels: Sequence[str], groups: int) -> None:
    """Raise StarglotError for labels, and groups if there are any, whose weights are not the start's."""
    numbers = {name.removeprefix(of).split(".")[0] for name in fresh for of in OF_LABELS if name.startswith(of)}
    unknown = [label for j, label in enumerate(labels) if str(j) in numbers]
    if groups > 1 and any(name.startswith(OF_CLASS) for name in fresh):
        unknown.append(f"these {groups} groups")
    if unknown:
        raise StarglotError(
            f"the network to start from has not learnt {', '.join(unknown)}, and {strategy} teaches it nothing new",
            where="models: transfer: strategy",
            allowed="labels and groups of the start",
            todo="take full, lora or scratch, or a task with the labels and groups of the start",
        )
