"""How a model goes on from the trained one that its `init` names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from starglot.config.strict import Strict

#: The keys of a network's `transfer` that a strategy reads, beside the strategy itself.
_OWN = {"lora": {"rank", "alpha", "layers"}, "residual": {"hidden"}}


class Transfer(Strict):
    """How a model goes on from the trained one that `init` names, at tasks other than that one's."""

    strategy: str

    @property
    def as_read(self) -> dict[str, Any]:
        """The keys that the strategy reads, and no others: a training depends on them."""
        return self.model_dump(mode="json", include={"strategy", *_OWN.get(self.strategy, ())})


class NetworkTransfer(Transfer):
    """How a network goes on from the trained one that `init` names."""

    strategy: Literal["full", "lora", "residual", "zero_shot", "scratch"] = Field(
        "full",
        description="full: all weights go on learning; lora: low-rank updates of chosen layers, merged in the "
        "end; residual: a small network reads the same spectrum, and what it tells is added to the labels of "
        "the trained one, which stays as it was; zero_shot: the trained one answers as it is; scratch: `init` is "
        "left out, all else is the same.",
    )
    rank: int = Field(8, ge=1, le=1024, description="Rank of the updates; lora only.")
    alpha: int = Field(16, ge=1, description="Scale: an update is multiplied by alpha / rank; lora only.")
    layers: list[str] = Field(
        ["*"],
        min_length=1,
        description="Names of the dense and convolutional layers that are updated, with * and ? as in file names; "
        "lora only.",
    )
    hidden: list[Annotated[int, Field(ge=1)]] = Field(
        [384], min_length=1, description="Widths between spectrum and correction; residual only."
    )


class LanguageTransfer(Transfer):
    """How a language model goes on from the trained one that `init` names."""

    strategy: Literal["lora", "zero_shot", "scratch"] = Field(
        "lora",
        description="lora: its adapters (and projector) go on learning; zero_shot: they answer as they are; scratch: "
        "`init` is left out, all else is the same.",
    )


def takes_steps(transfer: Transfer | None) -> bool:
    """Whether a model that starts from a trained one learns anything further; None: the strategy of its family."""
    return transfer is None or transfer.strategy != "zero_shot"
