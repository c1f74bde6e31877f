"""BibTeX of what the catalogue cites, found by what a rule's citation names.

An arXiv number, or a name of ``BY_NAME``, is looked up in ``PAPERS``, which has those that the file of a
family brings with it, other works in ``WORKS``; where a citation names none of these, the reference is its
repository, called ``owner/name`` or by a short name of ``REPOSITORIES``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from .families import FAMILIES
from .paper import Paper


class Cited(Protocol):
    """What has a citation: a rule, a loss."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def citation(self) -> str: ...


#: Papers that rules of several families cite; a family has the others of its own in its ``PAPERS``.
_SHARED: Mapping[str, Paper] = {
    "1707.06347": Paper(
        "Schulman, John and Wolski, Filip and Dhariwal, Prafulla and Radford, Alec and Klimov, Oleg",
        "Proximal Policy Optimization Algorithms",
    ),
    "1802.01561": Paper(
        "Espeholt, Lasse and others",
        "IMPALA: Scalable Distributed Deep-RL with Importance Weighted Actor-Learner Architectures",
    ),
    "1912.09729": Paper(
        "Ye, Deheng and others", "Mastering Complex Control in MOBA Games with Deep Reinforcement Learning"
    ),
    "2110.00641": Paper(
        "Hilton, Jacob and Cobbe, Karl and Schulman, John", "Batch size-invariance for policy optimization"
    ),
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
    "2501.03262": Paper(
        "Hu, Jian and Liu, Jason Klein and Xu, Haotian and Shen, Wei",
        "REINFORCE++: Stabilizing Critic-Free Policy Optimization with Global Advantage Normalization",
    ),
    "2503.14476": Paper(
        "Yu, Qiying and others", "DAPO: An Open-Source LLM Reinforcement Learning System at Scale"
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
    "2505.24298": Paper(
        "Fu, Wei and others",
        "AReaL: A Large-Scale Asynchronous Reinforcement Learning System for Language Reasoning",
    ),
    "2506.13585": Paper(
        "{MiniMax}", "MiniMax-M1: Scaling Test-Time Compute Efficiently with Lightning Attention"
    ),
    "2506.24119": Paper(
        "Liu, Bo and Guertler, Leon and others",
        "SPIRAL: Self-Play on Zero-Sum Games Incentivizes Reasoning via Multi-Agent Multi-Turn Reinforcement "
        "Learning",
    ),
    "2507.18071": Paper("Zheng, Chujie and others", "Group Sequence Policy Optimization"),
    "2508.10751": Paper(
        "Chen, Zhipeng and others",
        "Pass@k Training for Adaptively Balancing Exploration and Exploitation of Large Reasoning Models",
    ),
    "2509.13232": Paper("Xu, Zhongwen and Ding, Zihan", "Single-stream Policy Optimization"),
    "2510.13786": Paper(
        "Khatri, Devvrit and others", "The Art of Scaling Reinforcement Learning Compute for LLMs"
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
    "2601.05242": Paper(
        "Liu, Shih-Yang and others",
        "GDPO: Group reward-Decoupled Normalization Policy Optimization for Multi-reward RL Optimization",
    ),
    "2601.08521": Paper("Yang, Fengkai and others", "Your Group-Relative Advantage Is Biased"),
    "2601.16175": Paper("Yuksekgonul, Mert and others", "Learning to Discover at Test Time"),
    "2602.02710": Paper("Tajwar, Fahim and others", "Maximum Likelihood Reinforcement Learning"),
    "2602.05165": Paper(
        "Han, Kevin and others",
        "EBPO: Empirical Bayes Shrinkage for Stabilizing Group-Relative Policy Optimization",
    ),
    "2602.05548": Paper(
        "Yu, Zhiqi and Chen, Zhangquan and Liu, Mengting and Zhang, Heye and Qu, Liangqiong",
        "Unveiling Implicit Advantage Symmetry: Why GRPO Struggles with Exploration and Difficulty "
        "Adaptation",
    ),
    "2603.18444": Paper(
        "Kim, Haechan and Ryu, Soohyun and Chu, Gyouk and Jang, Doohyuk and Yang, Eunho",
        "Discounted Beta--Bernoulli Reward Estimation for Sample-Efficient Reinforcement Learning with "
        "Verifiable Rewards",
    ),
    "2605.24331": Paper(
        "Sun, Ke and Zhao, Yizhou and Xin, Jiayi and Long, Qi and Su, Weijie",
        "CurveRL: Principled Distribution-Aware Context Reweighting for LLM Reasoning",
    ),
    "2606.06080": Paper(
        "Takashiro, Shota and Nishimori, Soichiro and Parmas, Paavo and others",
        "On Advantage Estimates for Max@K Policy Gradients",
    ),
    "2606.06096": Paper(
        "Parmas, Paavo and others",
        "OrderGrad: Optimizing Beyond the Mean with Order-Statistic Policy Gradient Estimation",
    ),
    "2609.02987": Paper("Ramasubramanian, Shrinivas and others", "Tail-Likelihood Reinforcement Learning"),
    "2607.14962": Paper(
        "Onoda, Ku and Parmas, Paavo and Furuta, Hiroki and Nishimori, Soichiro and Oshima, Yuta and "
        "Taniguchi, Shohei and Matsuo, Yutaka",
        "Multi-Axis Max@K Reinforcement Learning for Representative Diversity in Text-to-Image Generation",
    ),
}
#: All papers, by their number.
PAPERS: Mapping[str, Paper] = {
    **_SHARED,
    **{number: paper for family in FAMILIES for number, paper in getattr(family, "PAPERS", {}).items()},
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
    "retrain 0.3.0": """@misc{retrain,
  title        = {retrain},
  howpublished = {retrain 0.3.0},
  url          = {https://pypi.org/project/retrain/0.3.0/}
}""",
    "Precup, Sutton and Singh 2000": """@inproceedings{precup2000eligibility,
  author    = {Precup, Doina and Sutton, Richard S. and Singh, Satinder},
  title     = {Eligibility Traces for Off-Policy Policy Evaluation},
  booktitle = {Proceedings of the Seventeenth International Conference on Machine Learning},
  pages     = {759--766},
  year      = {2000}
}""",
    "Ionides 2008": """@article{ionides2008truncated,
  author  = {Ionides, Edward L.},
  title   = {Truncated Importance Sampling},
  journal = {Journal of Computational and Graphical Statistics},
  volume  = {17},
  number  = {2},
  pages   = {295--311},
  year    = {2008}
}""",
    "Schulman 2020": """@misc{schulman2020kl,
  author = {Schulman, John},
  title  = {Approximating {KL} Divergence},
  year   = {2020},
  url    = {http://joschu.net/blog/kl-approx.html}
}""",
    "this laboratory": """@software{maxpo_lab,
  author = {{The maxpo-lab developers}},
  title  = {maxpo-lab: the exact laboratory for max@K / pass@K policy-gradient estimators},
  year   = {2026}
}""",
}

#: Repositories that citations call by a short name.
REPOSITORIES: Mapping[str, str] = {
    "AReaL": "areal-project/AReaL",
    "NeMo-RL": "NVIDIA-NeMo/RL",
    "OpenRLHF": "OpenRLHF/OpenRLHF",
    "TRL": "huggingface/trl",
    "ms-swift": "modelscope/ms-swift",
    "rllm": "rllm-org/rllm",
    "verl": "verl-project/verl",
}
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{5})")
_REPOSITORY = re.compile(rf"[\w-]+/[\w-]+|\b(?:{'|'.join(REPOSITORIES)})\b")


def bibtex(rule: Cited) -> str:
    """BibTeX entries of the works that a citation names; of a repository where it names none.

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


def _repository(rule: Cited, name: str) -> str:
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
