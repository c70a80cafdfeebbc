"""Questions and answers for training: from JSONL files to batches, without holding a survey in memory.

Files are copied once into an Arrow file in the state folder and memory-mapped from there; a row is tokenised when it
is drawn.  Which row is drawn when, and what is changed about it, depends on the seed and the row alone: not on the
number of workers, devices or restarts.  What is changed is flux of the cleaned spectra, not the text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from torch.utils.data import Dataset

from starglot.config.strict import Augment
from starglot.errors import StarglotError
from starglot.hashing import digest_of
from starglot.language.chat import frame
from starglot.language.prompts import parse_question
from starglot.spectra.redraw import redraw_flux
from starglot.spectra.sample_flux import SampleFlux
from starglot.store import fault, is_whole, making

if TYPE_CHECKING:
    from torch import Tensor

    from starglot.language.tokens import PromptTokens

log = logging.getLogger(__name__)

#: What takes no part in the loss (torch's convention).
IGNORED = -100

_ROWS = pa.schema([("obsid", pa.int64()), ("question", pa.string()), ("answer", pa.string())])
_BLOCK = 1 << 24
_CACHED = "rows.arrow"
#: The longest prompt is looked for among so many of the longest texts: most characters are not always most tokens.
_MEASURED = 32


class Rows:
    """Questions and answers in a memory-mapped Arrow file, by number."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._open()

    def _open(self) -> None:
        with pa.memory_map(str(self.path)) as source:
            reader = pa.ipc.open_file(source)
            self._batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        self._ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def obsids(self) -> np.ndarray:
        """(n,) int64 of all rows, in their order."""
        each = [batch.column(0).to_numpy() for batch in self._batches]
        return np.concatenate(each) if each else np.empty(0, np.int64)

    def longest(self, count: int) -> list[int]:
        """Numbers of the ``count`` rows with the most characters."""
        texts = [[pc.binary_length(batch.column(index)) for index in (1, 2)] for batch in self._batches]
        lengths = [pc.add(*both).to_numpy() for both in texts]
        return np.argsort(np.concatenate(lengths), kind="stable")[-count:].tolist() if lengths else []

    def __getitem__(self, number: int) -> tuple[int, str, str]:
        """(obsid, question, answer) of a row."""
        at = int(np.searchsorted(self._ends, number, side="right"))
        batch = self._batches[at]
        row = number - (int(self._ends[at]) - batch.num_rows)
        obsid, question, answer = (batch.column(index)[row].as_py() for index in range(3))
        return obsid, question, answer

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}  # a worker process maps the file itself

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.path = state["path"]
        self._open()


def cache_rows(files: Sequence[Path], inputs: Mapping[str, str], folder: Path, chief: bool = True) -> Rows:
    """The rows of JSONL(.gz) ``files``, in their order, as an Arrow file kept in ``folder``, made if needed.

    inputs: file name to digest; the Arrow file is known by those of ``files``.  chief: of several processes one
    makes the file and the others wait for it.  Memory does not grow with the number of rows.
    Raises StarglotError when a file is no JSONL of obsid, question, answer.
    """
    cache = Path(folder) / digest_of([inputs[Path(file).name] for file in files])[:24]
    while not chief and fault(cache) is not None:
        time.sleep(1)  # a launcher ends all processes when one of them fails
    if chief and not is_whole(cache):
        with making(cache) as made, pa.ipc.new_file(made / _CACHED, _ROWS) as sink:
            for file in files:
                _append(Path(file), sink)
    return Rows(cache / _CACHED)


def _append(file: Path, sink: pa.RecordBatchFileWriter) -> None:
    options = pa.json.ParseOptions(explicit_schema=_ROWS, unexpected_field_behavior="ignore")
    compression = "gzip" if file.suffix == ".gz" else None
    try:
        with pa.input_stream(str(file), compression=compression) as stream:
            if not stream.read(1):
                return  # no star of this sample went to this file
        with pa.input_stream(str(file), compression=compression) as stream:
            blocks = pa.json.ReadOptions(block_size=_BLOCK, use_threads=False)
            for batch in pa.json.open_json(stream, blocks, options):
                if any(batch.column(index).null_count for index in range(len(_ROWS))):
                    raise pa.ArrowInvalid("a row lacks obsid, question or answer")
                sink.write_batch(batch.select(_ROWS.names))
    except (pa.ArrowInvalid, OSError) as error:
        raise StarglotError(
            f"questions cannot be read: {error}",
            where=file,
            allowed='JSON lines {"obsid":..., "question":..., "answer":...}, gzipped',
            todo="write them again: snakemake qa",
        ) from error


class Draws(Dataset[dict[str, Any]]):
    """The examples of a whole training in the order in which they are seen; each item is tokenised when asked for.

    Pass after pass over the rows, each in an order of its own, cut or continued to ``length`` items.  Flux can be
    drawn anew at each pass: that of the cleaned spectra, with the precision that questions have.
    """

    def __init__(
        self,
        rows: Rows,
        tokens: PromptTokens,
        length: int,
        seed: int,
        anew: tuple[Augment, SampleFlux] | None = None,
        shuffled: bool = True,
    ):
        """anew: what is changed at each pass, and the flux of the rows' spectra; None: questions as they stand."""
        self.rows, self.tokens, self.length, self.seed, self.shuffled = rows, tokens, length, seed, shuffled
        self.anew = anew
        self.before, self.between, self.after = frame(tokens.tokenizer)
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        """{'prompt': ids, 'answer': ids, 'counts': which answer ids take part in the loss}."""
        epoch, place = divmod(int(number), len(self.rows))
        obsid, question, answer = self.rows[self._row(epoch, place)]
        ids, counts = self.tokens.answer(answer)
        return {
            "prompt": [*self.before, *self._question(question, epoch, obsid), *self.between],
            "answer": [*ids, *self.after],
            "counts": [*counts, *[True] * len(self.after)],
        }

    def longest(self) -> tuple[int, int]:
        """Tokens of the longest prompt and of the longest answer, among the rows with the longest texts."""
        prompts, answers = [0], [0]
        for number in self.rows.longest(_MEASURED):
            _, question, answer = self.rows[number]
            prompts.append(len(self.before) + len(self.tokens.question(question)) + len(self.between))
            answers.append(len(self.tokens.answer(answer)[0]) + len(self.after))
        return max(prompts), max(answers)

    def _row(self, epoch: int, place: int) -> int:
        if not self.shuffled:
            return place
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
        return int(self._order[1][place])

    def _question(self, question: str, epoch: int, obsid: int) -> list[int]:
        if self.anew is None:
            return self.tokens.question(question)
        augment, spectra = self.anew
        codec = self.tokens.codec
        labels, _ = parse_question(self.tokens.task, question)
        flux = codec.flux(codec.values(spectra[np.array([obsid])]))
        flux = redraw_flux(flux, augment, np.random.default_rng([self.seed, epoch, obsid]))
        return self.tokens.prompt(labels, codec.values_from_binned(flux)[0])


@dataclass(frozen=True)
class Collate:
    """Joins examples to a batch, filled up on the right.

    A causal model sees nothing of what stands to the right, so no attention mask is needed, and attention takes its
    causal fast path, at half the work.  The loss needs logits from the shortest prompt's end on only
    (``logits_to_keep``): at 5,000 tokens and a vocabulary of 128,000 that is a twelfth of the memory and of the time.
    """

    pad: int

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor | int]:
        """input_ids (n, length), labels (n, logits_to_keep), logits_to_keep."""
        import torch

        width = max(len(example["prompt"]) + len(example["answer"]) for example in examples)
        answered = width - min(len(example["prompt"]) for example in examples) + 1
        ids = np.full((len(examples), width), self.pad, dtype=np.int64)
        labels = np.full((len(examples), width), IGNORED, dtype=np.int64)
        for row, example in enumerate(examples):
            answer = np.asarray(example["answer"], dtype=np.int64)
            start, stop = len(example["prompt"]), len(example["prompt"]) + len(answer)
            ids[row, :start], ids[row, start:stop] = example["prompt"], answer
            labels[row, start:stop] = np.where(example["counts"], answer, IGNORED)
        return {
            "input_ids": torch.from_numpy(ids),
            "labels": torch.from_numpy(labels[:, width - answered :].copy()),
            "logits_to_keep": answered,
        }
