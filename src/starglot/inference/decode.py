"""Batched greedy decoding, and the digit trees of all numbers of an answer on the same cache.

One pass over each prompt.  After the greedy answer, the branches of all its numbers hang off the greedy path: a
number is conditioned on the greedy text before it.  A level of all trees of all spectra of a batch is one forward
pass under a mask that shows a branch the prompt, the answer up to its number, and its own digits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from starglot.errors import StarglotError
from starglot.inference.alphabet import Alphabet, Pieces, read_alphabet, read_decimals
from starglot.inference.digits import SYMBOLS, DigitTree, Distribution, grow_joined
from starglot.models.class_probability import likeliest

if TYPE_CHECKING:
    import torch

#: Most logits of one tree pass (1 GiB in float32): what a level needs beyond that goes in further passes.
_MAX_LOGITS = 2**28


@dataclass(frozen=True)
class NumberField:
    """A number in an answer's text.

    key: what it is called in the result; start: character behind its opening quote, or behind the point of a plain
    number; begins: what of a plain number stands before ``start``, and is taken as it is; like: the number as
    answered, None where what stands there is none; decimals, resolution, limits: see
    :class:`starglot.inference.digits.DigitTree`.
    """

    key: str
    start: int
    like: str | None
    decimals: int | None
    resolution: float
    limits: tuple[float, float]
    begins: str = ""


@dataclass(frozen=True)
class Choice:
    """A token of an answer that is one of a few: its place in the answer, and their ids."""

    place: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Decoded:
    """A greedy answer: its text, its tokens without the stop token, the distributions of its numbers by key.

    chosen: log-odds of the token at the place of the choice among those of the choice; None where another one stands
    there.
    """

    text: str
    tokens: list[int]
    numbers: dict[str, Distribution] = field(default_factory=dict)
    chosen: float | None = None


@dataclass
class _Node:
    """A branch whose last token is about to be read.

    base: answer tokens that it sees; seen: tree slots that it sees.
    """

    token: int
    position: int
    base: int
    seen: list[int]


@dataclass
class _Growing:
    """A number's tree, and the node of each prefix of its frontier."""

    row: int
    key: str
    tree: DigitTree
    nodes: list[_Node]


def attention_of(model: Any) -> str:
    """Which implementation of attention a model was loaded with: 'sdpa', 'eager' and others.

    Transformers (5.23) has a public way to choose it, and none to ask for it.
    """
    return str(model.config._attn_implementation)


class Decoder:
    """Answers prompts with a Hugging Face causal language model.

    stop: token ids that end an answer; max_tokens: longest answer; prune: see
    :class:`starglot.inference.digits.DigitTree`; decimals: of plain numbers, None where numbers are spaced; choice:
    the token whose log-odds are told as well.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        stop: Collection[int],
        max_tokens: int,
        prune: float,
        decimals: int | None = None,
        choice: Choice | None = None,
    ):
        self._choice = choice
        self._model, self._tokenizer = model.eval(), tokenizer
        self._stop, self._max_tokens, self._prune = frozenset(stop), max_tokens, prune
        self._alphabet: Alphabet = (
            read_alphabet(tokenizer) if decimals is None else read_decimals(tokenizer, decimals)
        )
        self._pieces = Pieces(tokenizer)
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        kind = attention_of(model)
        if kind not in ("sdpa", "eager"):
            raise StarglotError(
                f"digit trees need a free attention mask; '{kind}' has none",
                where=tokenizer.name_or_path,
                allowed="sdpa, eager",
                todo="use another base model",
            )

    def answer(
        self, prompts: Sequence[Sequence[int]], find_numbers: Callable[[int, str], list[NumberField]]
    ) -> list[Decoded]:
        """Greedy answers to ``prompts`` (token ids), decoded together, with the distributions of their numbers.

        find_numbers: (index of the prompt, answer text) -> the numbers to look into.  A number that does not begin
        at a token's end, or to which the model gives no probability, is left out of the result.
        """
        import torch

        if not prompts:
            return []
        with torch.inference_mode():
            state = _Batch(self._model, prompts, self._pad)
            tokens, chosen = self._greedy(state)
            texts = ["".join(self._pieces.texts(row)) for row in tokens]
            growing = [
                tree
                for row, text in enumerate(texts)
                for tree in self._plant(row, state, tokens[row], find_numbers(row, text))
            ]
            planted = list(growing)
            while growing:
                self._grow(state, growing)
                growing = [tree for tree in growing if tree.tree.frontier]
        out = [Decoded(text, row, chosen=odds) for text, row, odds in zip(texts, tokens, chosen, strict=True)]
        for tree in planted:
            distribution = tree.tree.distribution()
            if distribution is not None:
                out[tree.row].numbers[tree.key] = distribution
        return out

    def _greedy(self, state: _Batch) -> tuple[list[list[int]], list[float | None]]:
        """The most probable token after the most probable token, until every row has stopped; what was chosen."""
        rows: list[list[int]] = [[] for _ in range(state.rows)]
        odds: list[float | None] = [None] * state.rows
        going = [True] * state.rows
        logits = state.prefill()
        for step in range(self._max_tokens):
            chosen = logits.argmax(-1).tolist()
            if self._choice is not None and step == self._choice.place:
                odds = _among(logits, self._choice.tokens, chosen, going)
            for row, token in enumerate(chosen):
                if going[row] and token not in self._stop:
                    rows[row].append(token)
                else:
                    going[row] = False
            if not any(going) or step + 1 == self._max_tokens:
                break
            logits = state.step([t if on else self._pad for t, on in zip(chosen, going, strict=True)])
        return rows, odds

    def _plant(self, row: int, state: _Batch, tokens: list[int], numbers: list[NumberField]) -> list[_Growing]:
        """A tree for each number of a row, rooted at the token with the opening quote."""
        ends = {int(end): n for n, end in enumerate(np.cumsum([len(piece) for piece in self._pieces.texts(tokens)]))}
        out = []
        for number in numbers:
            at = ends.get(number.start)
            if at is None:
                continue
            tree = DigitTree(
                self._prune,
                decimals=number.decimals,
                like=number.like,
                resolution=number.resolution,
                limits=number.limits,
            )
            for symbol in number.begins:
                tree.grow(np.array([[float(each == symbol) for each in SYMBOLS]]))
            root = _Node(tokens[at], state.lengths[row] + at, at, [])
            out.append(_Growing(row, number.key, tree, [root]))
        return out

    def _grow(self, state: _Batch, growing: list[_Growing]) -> None:
        """One symbol further in all trees."""
        queues: list[list[_Node]] = [[] for _ in range(state.rows)]
        for tree in growing:
            queues[tree.row].extend(tree.nodes)
        alphabet, block = self._alphabet, len(self._alphabet.prefixes)
        longest = max(len(queue) for queue in queues)
        vocabulary = self._model.config.vocab_size
        portion = max(1, _MAX_LOGITS // (state.rows * block * vocabulary))
        slots = [[0] * len(queue) for queue in queues]
        tables = [np.zeros((len(queue), block, len(alphabet.columns))) for queue in queues]
        for first in range(0, longest, portion):
            part = [queue[first : first + portion] for queue in queues]
            start, result = state.read_nodes(part, alphabet)
            for row, nodes in enumerate(part):
                for n in range(len(nodes)):
                    slots[row][first + n] = start + n * block
                    tables[row][first + n] = result[row, n * block : (n + 1) * block]
        taken = [0] * state.rows
        for tree in growing:
            these = slice(taken[tree.row], taken[tree.row] + len(tree.nodes))
            taken[tree.row] = these.stop
            if alphabet.together > 1:  # one table holds all decimals
                grow_joined(tree.tree, np.exp(tables[tree.row][these][0, 0]), alphabet.together)
                continue
            tree.tree.grow(alphabet.symbol_probabilities(tables[tree.row][these]))
            tree.nodes = [
                self._child(tree.nodes[parent], slots[tree.row][these][parent], symbol)
                for parent, symbol in tree.tree.origin
            ]

    def _child(self, parent: _Node, slot: int, symbol: int) -> _Node:
        path = self._alphabet.paths[symbol][0]
        between = [slot + n for n in self._alphabet.beginnings(path[:-1])]
        return _Node(path[-1], parent.position + len(path), parent.base, [*parent.seen, slot, *between])


def _among(
    logits: torch.Tensor, tokens: Sequence[int], chosen: Sequence[int], going: Sequence[bool]
) -> list[float | None]:
    """Log-odds of each row's ``chosen`` token among ``tokens``; None where it is another, or the row has ended."""
    code, odds = likeliest(logits[:, list(tokens)].double().cpu().numpy())
    return [
        float(odds[row]) if going[row] and token == tokens[code[row]] else None for row, token in enumerate(chosen)
    ]


class _Batch:
    """Prompts on one cache: (left-padded prompts | greedy answers | tree nodes) along its length."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], pad: int):
        import torch

        from starglot.inference.cache import roomy_cache

        self.model, self.pad, self.rows = model, pad, len(prompts)
        self.lengths = [len(prompt) for prompt in prompts]
        self.width = max(self.lengths)
        ids = np.full((self.rows, self.width), pad, np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, self.width - len(prompt) :] = prompt
        lengths = np.array(self.lengths)[:, None]
        self._place = np.arange(self.width)[None, :] - (self.width - lengths)
        self.device = model.device
        self._ids = torch.from_numpy(ids).to(self.device)
        self._visible = torch.from_numpy(self._place >= 0).to(self.device)
        self._cache = roomy_cache(model.config)
        self.answered = 0  # answer tokens in the cache
        self.branched = 0  # tree slots in the cache

    def _forward(
        self, ids: torch.Tensor, positions: np.ndarray, mask: torch.Tensor | None, keep: int
    ) -> torch.Tensor:
        import torch

        logits: torch.Tensor = self.model(
            input_ids=ids,
            position_ids=torch.from_numpy(positions).to(self.device),
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits
        return logits

    def prefill(self) -> torch.Tensor:
        """Read the prompts; (rows, vocabulary) logits behind them."""
        return self._forward(self._ids, np.maximum(self._place, 0), self._padding_mask(), 1)[:, -1]

    def step(self, tokens: list[int]) -> torch.Tensor:
        """Read one answer token per row; (rows, vocabulary) logits behind it."""
        import torch

        ids = torch.tensor(tokens, device=self.device)[:, None]
        positions = np.array(self.lengths)[:, None] + self.answered
        self.answered += 1
        return self._forward(ids, positions, self._padding_mask(), 1)[:, -1]

    def _padding_mask(self) -> torch.Tensor | None:
        """(rows, keys) 1 where there is a token; None where no prompt is padded, for the attention's fast path."""
        import torch

        if min(self.lengths) == self.width:
            return None
        answers = self._visible.new_ones((self.rows, self.answered))
        return torch.cat([self._visible, answers], dim=1).long()

    def read_nodes(self, queues: list[list[_Node]], alphabet: Alphabet) -> tuple[int, np.ndarray]:
        """Read tree nodes, each followed by the alphabet's prefixes, into a block of slots of its own.

        Returns the first new slot, and (rows, slots, columns) log-probabilities of the alphabet's tokens there.
        """
        import torch

        block = len(alphabet.prefixes)
        n = max(len(queue) for queue in queues) * block
        start, total = self.branched, self.branched + n
        ids = np.full((self.rows, n), self.pad, np.int64)
        positions = np.zeros((self.rows, n), np.int64)
        base = np.zeros((self.rows, n), np.int64)
        branch = np.zeros((self.rows, n, total), bool)
        branch[:, np.arange(n), start + np.arange(n)] = True  # also where there is no node: no row may see nothing
        for row, queue in enumerate(queues):
            for i, node in enumerate(queue):
                at = i * block
                base[row, at : at + block] = node.base
                branch[row, at : at + block, node.seen] = True
                branch[row, at : at + block, start + at] = True
                ids[row, at], positions[row, at] = node.token, node.position
                for k, prefix in enumerate(alphabet.prefixes[1:], 1):
                    ids[row, at + k], positions[row, at + k] = prefix[-1], node.position + len(prefix)
                    branch[row, at + k, [start + at + b for b in alphabet.beginnings(prefix)]] = True
        self.branched = total
        mask = self._tree_mask(base, branch)
        logits = self._forward(torch.from_numpy(ids).to(self.device), positions, mask, 0).float()
        columns = torch.tensor(alphabet.columns, device=self.device)
        chosen = logits[..., columns] - torch.logsumexp(logits, dim=-1, keepdim=True)
        return start, chosen.double().cpu().numpy()

    def _tree_mask(self, base: np.ndarray, branch: np.ndarray) -> torch.Tensor:
        """(rows, 1, queries, keys) mask: True (sdpa) or 0 (eager) where a query sees a key."""
        import torch

        prompt = self._visible[:, None, :].expand(-1, branch.shape[1], -1)
        answers = torch.arange(self.answered, device=self.device) < torch.from_numpy(base).to(self.device)[..., None]
        mask = torch.cat([prompt, answers, torch.from_numpy(branch).to(self.device)], dim=-1)[:, None]
        if attention_of(self.model) == "sdpa":
            return mask
        dtype = self.model.get_input_embeddings().weight.dtype
        return torch.zeros(mask.shape, dtype=dtype, device=self.device).masked_fill_(~mask, torch.finfo(dtype).min)
