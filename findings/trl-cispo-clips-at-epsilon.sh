#!/usr/bin/env bash
# TRL 1.16: GRPOConfig(loss_type="cispo") with no other setting holds every ratio of policies at 0.2. CISPO's bound
# is epsilon_high itself (not 1 + epsilon_high, as for the other losses), and epsilon_high is epsilon, 0.2, unless
# it is set. On a fresh batch every ratio is 1, so the first step has a fifth of the gradient, and as long as
# ratios stay above the bound it is a plain policy gradient with a fifth of the step.
# Seen: the gradient's norm of the first step is 0.2 times the one with the recommended epsilon_high=5.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 transformers==5.23.0 accelerate==1.15.0 datasets==5.2.0 \
  trl==1.16.0
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
from importlib.metadata import version

import tokenizers
import torch
import transformers
import trl
from datasets import Dataset

words = ["<pad>", "<eos>", *"abcdefgh"]
inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
norms = []
for settings in ({}, {"epsilon_high": 5.0}):
    torch.manual_seed(0)
    model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, pad_token_id=0, eos_token_id=1, bos_token_id=None))
    trainer = trl.GRPOTrainer(
        model=model, train_dataset=Dataset.from_dict({"prompt": ["a b"] * 8}),
        reward_funcs=lambda completion_ids, **_: [float(ids[0] % 2) for ids in completion_ids],
        processing_class=transformers.PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", padding_side="left"),
        args=trl.GRPOConfig(
            "out", loss_type="cispo", max_completion_length=4, num_generations=8, per_device_train_batch_size=8,
            gradient_accumulation_steps=1, max_steps=1, logging_steps=1, report_to="none", use_cpu=True,
            bf16=False, disable_tqdm=True, save_strategy="no", max_grad_norm=1e9, seed=0, **settings))
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    norms.append(next(row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row))
print(f"TRL {version('trl')}: gradient's norm by default {norms[0]:.5f}, epsilon_high=5 {norms[1]:.5f}, "
      f"ratio {norms[0] / norms[1]:.4f}")
raise SystemExit(abs(norms[0] / norms[1] - 0.2) > 1e-3)
PYTHON
