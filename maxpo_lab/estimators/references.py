"""BibTeX of what the catalogue cites, found by what a rule's citation names.

An arXiv number, or a name of ``BY_NAME``, is looked up in ``PAPERS``, other works in ``WORKS``; where a
citation names none of these, the reference is its repository, called ``owner/name`` or by a short name of
``REPOSITORIES``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from .entry import Entry


class Paper(NamedTuple):
    """One arXiv paper."""

    authors: str
    title: str

    @property
    def surname(self) -> str:
        """The first author's surname, for a citation key."""
        return self.authors.split(" and ")[0].split(",")[0]


PAPERS: Mapping[str, Paper] = {
    "2402.03300": Paper(
        "Shao, Zhihong and others",
        "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models",
    ),
    "2402.14740": Paper(
        "Ahmadian, Arash and others",
        "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs",
    ),
    "2405.13947": Paper(
        "Wang, Chaoyang and Cheng, Pengzhi and Li, Jingze and Sun, Weiwei",
        "Leader Reward for POMO-Based Neural Combinatorial Optimization",
    ),
    "2503.19595": Paper(
        "Tang, Yunhao and Zheng, Kunhao and Synnaeve, Gabriel and Munos, R{\\'e}mi",
        "Optimizing Language Models for Inference Time Objectives using Reinforcement Learning",
    ),
    "2503.20783": Paper(
        "Liu, Zichen and others", "Understanding R1-Zero-Like Training: A Critical Perspective"
    ),
    "2504.02546": Paper(
        "Chu, Xiangxiang and others",
        "GPG: A Simple and Strong Reinforcement Learning Baseline for Model Reasoning",
    ),
    "2505.15201": Paper(
        "Walder, Christian and Karkhanis, Deep",
        "Pass@K Policy Optimization: Solving Harder Reinforcement Learning Problems",
    ),
    "2505.23585": Paper(
        "Hao, Yaru and Dong, Li and Wu, Xun and Huang, Shaohan and Chi, Zewen and Wei, Furu",
        "On-Policy RL with Optimal Reward Baseline",
    ),
    "2506.24119": Paper(
        "Liu, Bo and Guertler, Leon and others",
        "SPIRAL: Self-Play on Zero-Sum Games Incentivizes Reasoning via Multi-Agent Multi-Turn Reinforcement "
        "Learning",
    ),
    "2508.10751": Paper(
        "Chen, Zhipeng and others",
        "Pass@k Training for Adaptively Balancing Exploration and Exploitation of Large Reasoning Models",
    ),
    "2510.23049": Paper(
        "Thrampoulidis, Christos and Mahdavi, Sadegh and Deng, Wenlong",
        "Advantage Shaping as Surrogate Reward Maximization: Unifying Pass@K Policy Gradients",
    ),
    "2510.23393": Paper(
        "Bagirov, Farid and Arkhipov, Mikhail and Sycheva, Ksenia and Glukhov, Evgeniy and Bogomolov, Egor",
        "The Best of N Worlds: Aligning Reinforcement Learning with Best-of-N Sampling via max@k "
        "Optimisation",
    ),
    "2511.03710": Paper(
        "Zeng, Guanning and Zhou, Zhaoyi and Arora, Daman and Zanette, Andrea",
        "Shrinking the Variance: Shrinkage Baselines for Reinforcement Learning with Verifiable Rewards",
    ),
    "2601.16175": Paper("Yuksekgonul, Mert and others", "Learning to Discover at Test Time"),
    "2602.02710": Paper("Tajwar, Fahim and others", "Maximum Likelihood Reinforcement Learning"),
    "2606.06080": Paper(
        "Takashiro, Shota and Nishimori, Soichiro and Parmas, Paavo and others",
        "On Advantage Estimates for Max@K Policy Gradients",
    ),
    "2606.06096": Paper(
        "Parmas, Paavo and others",
        "OrderGrad: Optimizing Beyond the Mean with Order-Statistic Policy Gradient Estimation",
    ),
    "2609.02987": Paper("Ramasubramanian, Shrinivas and others", "Tail-Likelihood Reinforcement Learning"),
    "2601.05242": Paper(
        "Liu, Shih-Yang and Dong, Xin and others",
        "GDPO: Group reward-Decoupled Normalization Policy Optimization for Multi-reward RL Optimization",
    ),
    "2607.14962": Paper(
        "Onoda, Ku and Parmas, Paavo and Furuta, Hiroki and Nishimori, Soichiro and Oshima, Yuta and "
        "Taniguchi, Shohei and Matsuo, Yutaka",
        "Multi-Axis Max@K Reinforcement Learning for Representative Diversity in Text-to-Image Generation",
    ),
}

#: Papers that citations call by a name alone.
BY_NAME: Mapping[str, str] = {"TailRL": "2609.02987"}
#: Other works, by what citations call them.
WORKS: Mapping[str, str] = {
    "Williams 1992": """@article{williams1992simple,
  author  = {Williams, Ronald J.},
  title   = {Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning},
  journal = {Machine Learning},
  volume  = {8},
  pages   = {229--256},
  year    = {1992}
}""",
    "this laboratory": """@software{maxpo_lab,
  author = {{The maxpo-lab developers}},
  title  = {maxpo-lab: the exact laboratory for max@K / pass@K policy-gradient estimators},
  year   = {2026}
}""",
}

#: Repositories that citations call by a short name.
REPOSITORIES: Mapping[str, str] = {
    "NeMo-RL": "NVIDIA-NeMo/RL",
    "OpenRLHF": "OpenRLHF/OpenRLHF",
    "TRL": "huggingface/trl",
    "rllm": "rllm-org/rllm",
    "verl": "verl-project/verl",
}
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{5})")
_REPOSITORY = re.compile(rf"[\w-]+/[\w-]+|\b(?:{'|'.join(REPOSITORIES)})\b")


def bibtex(rule: Entry) -> str:
    """BibTeX entries of the works that a rule's citation names; of a repository where it names none.

    Raises ValueError for a citation that names nothing known.
    """
    named = (identifier for name, identifier in BY_NAME.items() if name in rule.citation)
    papers = dict.fromkeys([*_ARXIV.findall(rule.citation), *named])
    entries = [_paper(identifier) for identifier in papers if identifier in PAPERS]
    entries += [entry for name, entry in WORKS.items() if name in rule.citation]
    repository = _REPOSITORY.search(rule.citation)
    if not papers and not entries and repository:
        entries = [_repository(rule, repository[0])]
    if not entries or not papers.keys() <= PAPERS.keys():
        raise ValueError(f"{rule.name}: citation {rule.citation!r} names what references.py has no entry of")
    return "\n\n".join(entries)


def _repository(rule: Entry, name: str) -> str:
    return (
        f"@misc{{{rule.name},\n"
        f"  title        = {{{rule.title}}},\n"
        f"  howpublished = {{{rule.citation}}},\n"
        f"  url          = {{https://github.com/{REPOSITORIES.get(name, name)}}}\n"
        f"}}"
    )


def _paper(identifier: str) -> str:
    paper = PAPERS[identifier]
    year = 2000 + int(identifier[:2])
    return (
        f"@misc{{{paper.surname.lower()}{year}_{identifier.replace('.', '')},\n"
        f"  author        = {{{paper.authors}}},\n"
        f"  title         = {{{paper.title}}},\n"
        f"  year          = {{{year}}},\n"
        f"  eprint        = {{{identifier}}},\n"
        f"  archivePrefix = {{arXiv}},\n"
        f"  url           = {{https://arxiv.org/abs/{identifier}}}\n"
        f"}}"
    )
