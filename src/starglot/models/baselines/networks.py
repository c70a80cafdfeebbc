"""Networks that read a spectrum: ResNet-50, a small CNN, a GRU, and dense networks; each predicts group and labels.

A network takes standardised features (n, m + coarse) and returns logits of the groups (n, groups) and scaled labels
(n, labels).
The last ``coarse`` features are no part of the spectrum's sequence: they go straight to the heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from starglot.config.kinds.baselines import Cnn, Gru, Mlp, Network, ResNet50
from starglot.errors import StarglotError
from starglot.registry import Registry

#: Bottlenecks in the four stages of ResNet-50 (He et al. 2016, table 1), and what each widens its channels by.
STAGES, EXPANSION = (3, 4, 6, 3), 4
#: How the names of weights begin that are of one label, its number behind; and those of the class.
OF_LABELS, OF_CLASS = ("label_heads.", "of_label."), ("class_head.", "of_class.")


class Heads(nn.Module):
    """A trunk that turns the sequence into ``width`` numbers; on these a class head, and a head for each label."""

    def __init__(self, trunk: nn.Module, width: int, coarse: int, labels: int, groups: int):
        super().__init__()
        self.coarse, self.trunk = coarse, trunk
        self.class_head = nn.Linear(width + coarse, groups)
        self.label_heads = nn.ModuleList(nn.Linear(width + coarse, 1) for _ in range(labels))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(n, m + coarse) -> logits (n, groups), scaled labels (n, labels)."""
        m = features.shape[1] - self.coarse
        read = torch.cat([self.trunk(features[:, None, :m]), features[:, m:]], dim=1)
        return self.class_head(read), torch.cat([head(read) for head in self.label_heads], dim=1)


class Bottleneck(nn.Module):
    """1-3-1 convolutions beside a shortcut; a change of channels or pace is made by a convolution of the shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        wide = channels * EXPANSION
        self.path = nn.Sequential(
            nn.Conv1d(channels_in, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels, wide, 1, bias=False),
            nn.BatchNorm1d(wide),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != wide:
            self.shortcut = nn.Sequential(
                nn.Conv1d(channels_in, wide, 1, stride=stride, bias=False), nn.BatchNorm1d(wide)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels in, length) -> (n, 4 x channels, length / stride)."""
        return torch.relu(self.path(x) + self.shortcut(x))


class _Average(nn.Module):
    """Mean over the sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=2)


class _Recurrent(nn.Module):
    """Stacked GRUs over pieces of the spectrum; the state after the last piece (of both directions)."""

    def __init__(self, settings: Gru):
        super().__init__()
        self.step = settings.step
        self.gru = nn.GRU(
            settings.step,
            settings.hidden,
            num_layers=settings.layers,
            batch_first=True,
            bidirectional=settings.bidirectional,
            dropout=settings.dropout,
        )
        self.ends = 2 if settings.bidirectional else 1

    def forward(self, x: Tensor) -> Tensor:
        flux = x[:, 0]
        missing = -flux.shape[1] % self.step
        pieces = nn.functional.pad(flux, (0, missing)).reshape(len(flux), -1, self.step)
        _, last = self.gru(pieces)
        return torch.cat(tuple(last[-self.ends :]), dim=1)


class Dense(nn.Module):
    """Dense networks [n, ..., 1], one for each label, and one [n, ..., groups] for the group."""

    def __init__(self, settings: Mlp, inputs: int, labels: int, groups: int):
        super().__init__()

        def one(outputs: int) -> nn.Sequential:
            layers = _dense(inputs, settings.hidden, settings.dropout, normalised=True)
            return nn.Sequential(*layers, nn.Linear(settings.hidden[-1], outputs))

        self.of_class = one(groups)
        self.of_label = nn.ModuleList(one(1) for _ in range(labels))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(n, inputs) -> logits (n, groups), scaled labels (n, labels)."""
        return self.of_class(features), torch.cat([one(features) for one in self.of_label], dim=1)


def build_network(settings: Network, inputs: int, coarse: int, labels: int, groups: int) -> nn.Module:
    """The network that ``settings`` names, with fresh weights from torch's generator.

    inputs: features in all, of which the last ``coarse`` are no part of the sequence; labels: heads; groups: outputs
    of the head that tells the group.
    Raises StarglotError when so few flux values do not pass through its layers.
    """
    network = ARCHITECTURES[settings.kind](settings, inputs, coarse, labels, groups)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, inputs))
    except RuntimeError as error:
        raise StarglotError(
            f"{inputs - coarse} flux values do not pass through this network: {str(error).splitlines()[0]}",
            where=f"models of kind {settings.kind}",
            todo="lower `bin`, or take fewer or smaller layers",
        ) from error
    return network.train()


def _resnet50(settings: ResNet50, inputs: int, coarse: int, labels: int, groups: int) -> nn.Module:
    first = max(1, round(64 * settings.width))
    layers: list[nn.Module] = [
        nn.Conv1d(1, first, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm1d(first),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(3, stride=2, padding=1),
    ]
    channels_in = first
    for stage, count in enumerate(STAGES):
        channels = first * 2**stage
        for block in range(count):
            layers.append(Bottleneck(channels_in, channels, stride=2 if stage and not block else 1))
            channels_in = channels * EXPANSION
    trunk = nn.Sequential(*layers, _Average())
    for module in trunk.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return Heads(trunk, channels_in, coarse, labels, groups)


def _cnn(settings: Cnn, inputs: int, coarse: int, labels: int, groups: int) -> nn.Module:
    layers: list[nn.Module] = []
    length, channels_in = inputs - coarse, 1
    for channels in settings.channels:
        layers += [
            nn.Conv1d(channels_in, channels, settings.kernel, padding="same", bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.MaxPool1d(settings.pool),
        ]
        length, channels_in = length // settings.pool, channels
    flat = length * channels_in
    trunk = nn.Sequential(*layers, nn.Flatten(), *_dense(flat, settings.dense, settings.dropout))
    return Heads(trunk, [flat, *settings.dense][-1], coarse, labels, groups)


def _gru(settings: Gru, inputs: int, coarse: int, labels: int, groups: int) -> nn.Module:
    width = settings.hidden * (2 if settings.bidirectional else 1)
    return Heads(_Recurrent(settings), width, coarse, labels, groups)


def _mlp(settings: Mlp, inputs: int, coarse: int, labels: int, groups: int) -> nn.Module:
    return Dense(settings, inputs, labels, groups)


def _dense(inputs: int, widths: Sequence[int], dropout: float, normalised: bool = False) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [
            nn.Linear(inputs, width),
            *([nn.BatchNorm1d(width)] if normalised else []),
            nn.ReLU(),
            *([nn.Dropout(dropout)] if dropout else []),
        ]
        inputs = width
    return layers


#: Kind of model -> its network.
ARCHITECTURES: Registry[Callable[[Any, int, int, int, int], nn.Module]] = Registry(
    {"resnet50": _resnet50, "cnn": _cnn, "gru": _gru, "mlp": _mlp}
)
