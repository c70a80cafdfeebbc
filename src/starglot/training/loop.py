"""The training loop: Hugging Face's Trainer, resumed from checkpoints that are known to be whole."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from starglot.errors import StarglotError
from starglot.models.llm import compute_dtype
from starglot.store import checkpoints, newest_good, prune, seal
from starglot.tables import write_text
from starglot.training.full_disk import full_disk_explained
from starglot.training.time_limit import another_turn, stop_requested

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

#: Points of the loss curve over a whole training.
_LOGGED = 500


@dataclass(frozen=True)
class Plan:
    """How long and how fast: steps of ``batch`` examples x ``accumulate`` x processes.

    in_32_bits: all that is trained, and the buffers beside it, stay in 32 bits under ZeRO-3, too, which would else
    store them in 16 on GPUs; the base computes in its own type.
    """

    steps: int
    batch: int
    accumulate: int
    learning_rate: float
    weight_decay: float
    warmup: float
    checkpoints: int
    seed: int
    checkpointing: bool = False
    on_gpu: bool = False
    deepspeed: dict[str, Any] | None = None
    in_32_bits: bool = False

    @property
    def per_log(self) -> int:
        """Steps between points of the loss curve."""
        return max(1, self.steps // _LOGGED)

    @property
    def per_save(self) -> int:
        """Steps between checkpoints: a multiple of ``per_log``, so that the curve of a resumed run has no seam."""
        return math.ceil(self.steps / self.checkpoints / self.per_log) * self.per_log

    def arguments(self, folder: Path) -> TrainingArguments:
        """This plan in the Trainer's terms, with checkpoints in ``folder``."""
        return TrainingArguments(
            output_dir=str(folder),
            max_steps=self.steps,
            per_device_train_batch_size=self.batch,
            per_device_eval_batch_size=self.batch,
            gradient_accumulation_steps=self.accumulate,
            optim="adamw_torch",
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            max_grad_norm=1.0,
            lr_scheduler_type="cosine",
            warmup_steps=math.ceil(self.warmup * self.steps),
            activation_checkpointing=self.checkpointing,
            activation_checkpointing_kwargs={"use_reentrant": self.deepspeed is not None},
            bf16=compute_dtype(self.on_gpu) == torch.bfloat16 and not (self.deepspeed and self.in_32_bits),
            use_cpu=not self.on_gpu and self.deepspeed is None,
            deepspeed=self.deepspeed,
            ddp_find_unused_parameters=False,
            train_sampling_strategy="sequential",  # the draws are in their order already
            dataloader_num_workers=2 if self.on_gpu else 0,
            dataloader_pin_memory=self.on_gpu,
            remove_unused_columns=False,
            label_names=["labels"],
            prediction_loss_only=True,
            logging_steps=self.per_log,
            logging_nan_inf_filter=False,
            save_strategy="steps",
            save_steps=self.per_save,
            report_to=[],
            disable_tqdm=True,
            seed=self.seed,
        )


def make_trainer(
    model: PreTrainedModel | PeftModel,
    draws: Dataset[Any],
    collate: Callable[..., Any],
    arguments: TrainingArguments,
    title: str,
    optimiser: Callable[[], torch.optim.Optimizer] | None = None,
) -> Trainer:
    """A Trainer that seals its checkpoints and shows its progress as ``title``; optimiser: makes its own one."""
    disable_progress_bar()  # the library's own bars, for each file that it reads or writes
    trainer = _Trainer(model=model, args=arguments, train_dataset=draws, data_collator=collate)
    trainer.optimiser = optimiser
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Seals(trainer))
    trainer.add_callback(_StopsInTime(trainer))
    if trainer.is_world_process_zero():
        per_step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
        trainer.add_callback(_Progress(title, per_step))
    return trainer


def run(trainer: Trainer) -> list[dict[str, float]]:
    """Train to the end, from the newest good checkpoint if there is one; or to the time limit, and come back.

    Returns the loss curve: step, loss, learning_rate, grad_norm.  A resumed run and an uninterrupted one on the
    same machine give the same weights, bit for bit.  Raises StarglotError when the disk is full or a GPU's memory is
    too small.
    """
    folder = Path(str(trainer.args.output_dir))
    if trainer.is_world_process_zero():
        newest_good(folder)  # removes what is broken, so that all processes see the same newest one
    trainer.accelerator.wait_for_everyone()
    found = checkpoints(folder)
    if found:
        log.info("continuing from %s", found[-1])
    with explained(folder):
        trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
        if trainer.state.global_step < trainer.state.max_steps:
            another_turn(trainer)
    names = ("step", "loss", "learning_rate", "grad_norm")
    points = [{name: float(entry[name]) for name in names} for entry in trainer.state.log_history if "loss" in entry]
    return join_parts(points, int(trainer.args.logging_steps))


def left_as_it_is(trainer: Trainer, seen: Dataset[Any]) -> list[dict[str, float]]:
    """The loss curve of a model that takes no step: one point, its loss on training examples."""
    return [{"step": 0.0, "loss": float(trainer.evaluate(seen)["eval_loss"])}]


def join_parts(points: list[dict[str, float]], every: int) -> list[dict[str, float]]:
    """One point per ``every`` steps: where a time limit cut a stretch in two, the mean of both parts."""
    joined: list[dict[str, float]] = []
    begun, weight = -1, 0.0  # the stretch of the last point, and how many steps its loss is a mean of
    before = 0.0
    for point in points:
        steps, before = point["step"] - before, point["step"]
        stretch = math.ceil(point["step"] / every)
        if stretch == begun:
            loss = (joined[-1]["loss"] * weight + point["loss"] * steps) / (weight + steps)
            joined[-1] = {**point, "loss": loss}
            weight += steps
        else:
            joined.append(point)
            begun, weight = stretch, steps
    return joined


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a full disk and too little GPU memory into a StarglotError."""
    try:
        with full_disk_explained(folder):
            yield
    except torch.cuda.OutOfMemoryError as error:
        raise StarglotError(
            f"the GPU's memory is too small: {str(error).splitlines()[0]}",
            where="models: training: batch",
            todo="lower batch and raise accumulate by as much, and switch gradient_checkpointing on",
        ) from error


def write_curve(curve: list[dict[str, float]], path: Path) -> None:
    """The loss curve as CSV."""
    names = list(curve[0]) if curve else ["step", "loss"]
    lines = [",".join(f"{point[name]:.8g}" for name in names) for point in curve]
    write_text("\n".join([",".join(names), *lines]) + "\n", path)


class _Trainer(Trainer):
    """With an optimiser of the caller's: DeepSpeed drops one that the Trainer was given, and asks for it anew."""

    optimiser: Callable[[], torch.optim.Optimizer] | None = None

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.optimiser is not None:
            self.optimizer = self.optimiser()
        made: torch.optim.Optimizer = super().create_optimizer(model)
        return made


class _Seals(TrainerCallback):
    """Seals each checkpoint once all processes have written their part, then drops the oldest."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir))
            seal(folder / f"checkpoint-{state.global_step}")
            prune(folder)
        return control


class _StopsInTime(TrainerCallback):
    """When any process received the signal, all save a checkpoint after this step, and stop there together."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if state.global_step < state.max_steps and self._anyone():
            control.should_log = control.should_save = control.should_training_stop = True
        return control

    def _anyone(self) -> bool:
        """Whether any process received it: it reaches them at different steps, and must stop at the same one."""
        accelerator = self.trainer.accelerator
        if accelerator.num_processes == 1:
            return stop_requested()
        requested = torch.tensor(float(stop_requested()), device=accelerator.device)
        return bool(accelerator.reduce(requested, "sum") > 0)


class _Progress(TrainerCallback):
    """A bar with loss, rate and time to go, in examples."""

    def __init__(self, title: str, per_step: int):
        self.title, self.per_step = title, per_step
        self.bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.bar = tqdm(
            total=state.max_steps * self.per_step,
            initial=state.global_step * self.per_step,
            desc=self.title,
            unit=" examples",
            mininterval=2,
        )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.bar is not None:
            self.bar.update(self.per_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if self.bar is not None and logs and "loss" in logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.bar is not None:
            self.bar.close()
