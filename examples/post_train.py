"""Post-train a small language model with TRL on the rule of your choice, and see exactly what it gained.

A random Qwen2 of 21,000 parameters learns running sums in base 5, four digits per prompt, from right chains,
until one completion in twenty is right; then TRL's trainer takes over with MaxPO in place of GRPO's
advantages. One completion of 3125 is right, so pass@1 is its probability and pass@K follows from it:
nothing in the table is sampled.
Nothing is downloaded. Needs TRL (pip install 'maxpo-lab[trl]'); run it from the checkout:

    python -m examples.post_train
"""

from __future__ import annotations

import tempfile

import torch
from datasets import Dataset
from rich.console import Console
from rich.table import Table
from trl import GRPOConfig

from envs import ChainSum
from envs.language_models.causal_lm import causal_lm, digit_tokenizer
from envs.language_models.completions import success
from envs.language_models.questions import Questions
from envs.language_models.supervised import supervise
from maxpo_lab.integrations.trl import MaxPOTrainer

RULE, K, N, PROMPTS, STEPS, START = "maxpo", 4, 16, 16, 60, 0.05


def main() -> None:
    """Warm up, post-train, and print pass@1 and pass@K before and after."""
    torch.set_num_threads(1)  # more would only wait for each other on a model of this size
    task = ChainSum(base=5, digits=4, verifier="chain")
    train, held_out = Questions.split(task, held_out=48)
    model = causal_lm(task)

    def warm(step: int) -> bool:
        return step % 5 == 0 and float(success(model, held_out).mean()) > START

    steps = supervise(model, train, until=warm)
    parts = {"held-out prompts": held_out, "training prompts": train}
    before = {name: success(model, part) for name, part in parts.items()}

    with tempfile.TemporaryDirectory() as folder:
        trainer = MaxPOTrainer(
            model,
            train.reward,
            GRPOConfig(
                folder,
                max_steps=STEPS,
                per_device_train_batch_size=N * PROMPTS,
                num_generations=N,
                max_completion_length=task.length,
                learning_rate=3e-4,
                lr_scheduler_type="constant_with_warmup",
                warmup_steps=10,
                max_grad_norm=0.0,
                scale_rewards="none",  # the rule defines its own scale
                loss_type="dr_grpo",  # the mean of A_i times the score of completion i, over a constant
                gradient_checkpointing=False,
                use_cpu=True,
                bf16=False,
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
            ),
            train_dataset=Dataset.from_dict({"prompt": train.texts}),
            processing_class=digit_tokenizer(task),
            estimator=RULE,
            k=K,
        )
        trainer.train()

    table = Table("", f"after {steps} supervised steps", f"and {STEPS} of {RULE}", box=None)
    for name, part in parts.items():
        for k in (1, K):
            shown = [f"{(1 - (1 - p) ** k).mean():.3f}" for p in (before[name], success(model, part))]
            table.add_row(f"pass@{k}, {name}", *shown)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
