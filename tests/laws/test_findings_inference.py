"""Findings about a posterior, on posteriors whose prior, likelihood and covariance are known."""

from dataclasses import replace

import pytest
import torch

from noble_prob.decoder.toy import ToyDecoder
from noble_prob.findings.np109_directions import NONE
from noble_prob.findings.registry import judge
from noble_prob.findings.words import in_words
from noble_prob.inference import Posterior, Predictive
from noble_prob.noise import Design, Evidence

SPACE = ToyDecoder().space
NAMES = SPACE.names


def posterior(mean, sd, *, prior=None, draws=1000, correlation=None, seed=0):
    """Gaussian draws of the standardised toy latents, prior N(0, 1) or of a given correlation."""
    generator = torch.Generator().manual_seed(seed)
    n = len(NAMES)
    eye = torch.eye(n, dtype=torch.float64)
    root = torch.linalg.cholesky(eye if correlation is None else correlation)
    before = torch.linalg.cholesky(eye if prior is None else prior)
    normal = torch.randn(2, draws // 2, n, generator=generator, dtype=torch.float64)
    z = torch.as_tensor(mean).double() + torch.as_tensor(sd).double() * (normal @ root.T)
    design = Design(
        current_pa=torch.tensor([-110.0]).double(),
        end_ms=torch.tensor([400.0]).double(),
        summary_names=("resting_voltage_mv",),
    )
    times, summary = torch.full((1, 1), torch.inf).double(), torch.zeros(1, 1).double()
    wide = torch.randn(400, n, generator=generator, dtype=torch.float64) @ before.T
    replays = Predictive(
        times_ms=times.expand(400, 1, 1), summary=summary.expand(400, 1, 1), latents=SPACE.unstandardise(wide)
    )
    return Posterior(
        space=SPACE,
        latents=SPACE.unstandardise(z),
        scales={},
        log_likelihood=torch.zeros(*z.shape[:2], 1),
        stats={},
        evidence=Evidence(design=design, times_ms=times, summary=summary),
        predictive=replays,
        prior_predictive=replays,
        method="exact",
        seed=seed,
        wall_s=0.0,
    )


def said(result, code):
    return [f for f in judge(result) if f.code == code]


def test_np101_passes_chains_that_mix():
    (found,) = said(posterior(torch.zeros(5), torch.ones(5), draws=540, seed=3), "NP101")
    assert found.severity == "passed"
    assert found.evidence["r_hat"] <= 1.01
    assert 400 <= min(found.evidence["ess_bulk"], found.evidence["ess_tail"]) < 450


def test_np101_sees_chains_apart():
    """One chain is 0.3 SDs higher in one latent; effective draws are many all the same."""
    mean = torch.zeros(2, 1, 5)
    mean[1, 0, 3] = 0.3
    (found,) = said(posterior(mean, torch.ones(5), draws=4000, seed=1), "NP101")
    assert found.severity == "issue"
    assert 1.01 < found.evidence["r_hat"] < 1.02
    assert f"R-hat of {NAMES[3]}" in found.sentence
    assert "effective" not in found.sentence


def test_np101_asks_for_four_hundred_effective_draws():
    """Independent draws, too few by a handful: the bulk of one latent falls short, tails and R-hat do not."""
    (found,) = said(posterior(torch.zeros(5), torch.ones(5), draws=480, seed=1), "NP101")
    assert found.severity == "issue"
    assert 350 < found.evidence["ess_bulk"] < 400
    assert "bulk effective sample size" in found.sentence
    assert "tail" not in found.sentence
    assert "R-hat" not in found.sentence


def test_np101_sees_tails_that_mix_slowly():
    """Sizes stay for ten draws and signs do not: the middle is visited at random, the tails are not."""
    p = posterior(torch.zeros(5), torch.ones(5), draws=1600)
    size = p.standardised[:, ::10].abs().repeat_interleave(10, 1)
    stuck = replace(p, latents=SPACE.unstandardise(size * p.standardised.sign()))
    (found,) = said(stuck, "NP101")
    assert found.severity == "issue"
    assert "tail effective sample size" in found.sentence
    assert "bulk" not in found.sentence


def test_np101_sees_chains_that_stand_still():
    p = posterior(torch.zeros(5), torch.ones(5), draws=4000, seed=1)
    latents = p.latents.clone()
    latents[..., 2] = latents[0, 0, 2]
    (found,) = said(replace(p, latents=latents), "NP101")
    assert found.severity == "issue"
    assert in_words(NAMES[2]) in found.sentence


def test_np101_can_not_judge_one_chain():
    p = posterior(torch.zeros(5), torch.ones(5))
    assert [f.severity for f in said(replace(p, latents=p.latents[:1]), "NP101")] == ["not judged"]


@pytest.mark.parametrize(
    ("diverged", "severity"), [(0, "passed"), (1, "caution"), (10, "caution"), (11, "issue"), (20, "issue")]
)
def test_np102_is_an_issue_above_one_in_a_hundred(diverged, severity):
    flags = (torch.arange(1000) < diverged).reshape(2, 500)
    (found,) = said(replace(posterior(torch.zeros(5), torch.ones(5)), stats={"diverging": flags}), "NP102")
    assert found.severity == severity
    assert (found.evidence["divergences"], found.evidence["draws"]) == (diverged, 1000)


def test_np103_tells_a_second_mode_and_nothing_else():
    p = posterior(torch.zeros(5), torch.ones(5))
    (found,) = said(replace(p, provenance={"modes": 2}), "NP103")
    assert (found.severity, found.evidence["modes"]) == ("caution", 2)
    assert said(replace(p, provenance={"modes": 1}), "NP103") == []
    assert said(p, "NP103") == []


@pytest.mark.parametrize(("worth", "severity"), [(99.0, "caution"), (100.0, "passed")])
def test_np104_asks_for_means_exact_to_a_tenth_of_the_sd(worth, severity):
    p = posterior(torch.zeros(5), torch.ones(5))
    (found,) = said(replace(p, provenance={"k_hat": 0.3, "effective": 50.0, "worth": worth}), "NP104")
    assert (found.severity, found.evidence["worth"]) == (severity, worth)
    assert found.evidence["k_hat"] == 0.3
    assert "exact to about 0.10 posterior SDs" in found.sentence


def test_what_is_not_drawn_that_way_is_not_judged_that_way():
    """Without trajectories nothing is said of divergences, without weights nothing of weights."""
    p = posterior(torch.zeros(5), torch.ones(5))
    assert said(p, "NP102") == said(p, "NP104") == []


def with_densities(likelihood_mean, likelihood_sd):
    """Posterior of N(0, 1) times a Gaussian likelihood in every latent, with the log densities of its draws."""
    variance = 1 / (1 + likelihood_sd**-2)
    p = posterior(variance * likelihood_mean / likelihood_sd**2, variance**0.5, draws=4000)
    z = p.standardised
    log = {
        "log_prior": -0.5 * z.square().sum(-1),
        "log_likelihood": -0.5 * ((z - likelihood_mean) / likelihood_sd).square().sum(-1),
    }
    return replace(p, stats=log)


@pytest.mark.parametrize("mean", [4.0, 1.0])
def test_np108_names_what_prior_and_data_decide_and_can_not_call_the_prior_wrong(mean):
    """Data of one prior SD are as likely as not, those of four are not: both answer to prior and data alike."""
    (found,) = said(
        with_densities(torch.tensor([mean, 0, 0, 0, 0]), torch.tensor([1.0, 0.05, 0.05, 0.05, 0.05])), "NP108"
    )
    assert (found.severity, found.remedy) == ("passed", "")
    assert found.evidence["latents"] == ["resting_voltage_mv"]
    assert found.sentence.startswith("1 of 5 latents depend on the prior as well as on the data")
    assert "resting voltage" in found.sentence


def test_np108_passes_where_the_data_decide_and_where_the_prior_does():
    (found,) = said(with_densities(torch.zeros(5), torch.full((5,), 0.05)), "NP108")
    assert found.severity == "passed"
    assert "alone" not in found.sentence
    (found,) = said(with_densities(torch.zeros(5), torch.full((5,), 50.0)), "NP108")
    assert (found.severity, "5 follow the prior alone" in found.sentence) == ("passed", True)


def test_np108_can_not_judge_few_draws_or_without_densities():
    p = with_densities(torch.zeros(5), torch.full((5,), 0.1))
    assert [f.severity for f in said(replace(p, stats={}), "NP108")] == ["not judged"]
    few = replace(p, latents=p.latents[:, :20], stats={k: v[:, :20] for k, v in p.stats.items()})
    assert [f.severity for f in said(few, "NP108")] == ["not judged"]
    stuck = replace(
        p, latents=p.latents[:, :1].expand_as(p.latents), stats={k: v[:, :1].expand_as(v) for k, v in p.stats.items()}
    )
    assert [f.severity for f in said(stuck, "NP108")] == ["not judged"]


def correlated(i, j, r):
    out = torch.eye(5, dtype=torch.float64)
    out[i, j] = out[j, i] = r
    return out


def test_np109_tells_a_trade_off_that_the_data_made():
    p = posterior(torch.zeros(5), torch.full((5,), 0.3), correlation=correlated(2, 3, -0.97))
    (found,) = said(p, "NP109")
    assert found.severity == "passed"
    assert set(found.evidence["latents"]) == {NAMES[2], NAMES[3]}
    assert "falls with rising" in found.sentence


def test_np109_tells_a_direction_that_no_single_latent_shows():
    """Two latents that go together in the population: the data halve both SDs, but not that of their difference."""
    p = posterior(torch.zeros(5), torch.full((5,), 0.5), prior=correlated(2, 3, 0.7), correlation=correlated(2, 3, 0))
    (found,) = said(p, "NP109")
    assert found.severity == "passed"
    assert {"higher", "lower"} <= set(found.sentence.split())
    assert found.evidence["kept"] > 0.5
    assert len(said(p, "NP105")) == 1


@pytest.mark.parametrize("seed", range(5))
def test_np109_is_quiet_about_what_is_known_or_inherited_or_told_already(seed):
    known = posterior(torch.zeros(5), torch.full((5,), 0.3), seed=seed)
    assert [f.sentence for f in said(known, "NP109")] == [NONE]
    shared = correlated(2, 3, 0.95)
    inherited = posterior(torch.zeros(5), torch.full((5,), 0.4), prior=shared, correlation=shared, seed=seed)
    assert [f.sentence for f in said(inherited, "NP109")] == [NONE]
    alone = posterior(torch.zeros(5), torch.tensor([1.0, 0.3, 0.3, 0.3, 0.3]), seed=seed)
    assert [f.sentence for f in said(alone, "NP109")] == [NONE]
    assert said(alone, "NP105")[1].evidence["latents"] == [NAMES[0]]


def test_np109_can_not_judge_a_handful_of_draws():
    assert [f.severity for f in said(posterior(torch.zeros(5), torch.ones(5), draws=20), "NP109")] == ["not judged"]


def test_np105_says_what_is_known_in_words_and_units():
    p = posterior(torch.zeros(5), torch.tensor([0.2, 1.0, 0.1, 0.1, 1.0]))
    known, weak = said(p, "NP105")
    assert known.severity == weak.severity == "passed"
    assert "latency at 180 pA to" in known.sentence
    assert "resting voltage to" in known.sentence
    assert "mV" in known.sentence
    assert weak.sentence.startswith("Voltage deflection and first spike peak at 180 pA are not informed")
    assert "+180 pA" in weak.remedy
    assert len(said(posterior(torch.zeros(5), torch.full((5,), 0.1)), "NP105")) == 1


def test_np105_does_not_call_the_population_s_what_contradicts_it():
    """A latent that is wider than before is not one that the sweeps did not touch."""
    passed, caution = said(posterior(torch.zeros(5), torch.tensor([0.2, 2.0, 0.1, 0.1, 0.1])), "NP105")
    assert (passed.severity, caution.severity) == ("passed", "caution")
    assert "Voltage deflection is less certain than before" in caution.sentence
    assert "not informed" not in caution.sentence
    assert caution.evidence["latents"] == [NAMES[1]]
    _, chance = said(posterior(torch.zeros(5), torch.tensor([0.2, 1.15, 0.1, 0.1, 0.1])), "NP105")
    assert (chance.severity, "not informed" in chance.sentence) == ("passed", True)


def test_np105_does_not_judge_chains_that_stand_apart():
    p = posterior(torch.zeros(5), torch.full((5,), 0.2))
    away = p.latents.reshape(4, -1, 5) + torch.arange(4.0).double()[:, None, None]
    (found,) = said(replace(p, latents=away), "NP105")
    assert found.severity == "not judged"
    assert len(said(replace(p, latents=p.latents.reshape(4, -1, 5)), "NP105")) == 1


@pytest.mark.parametrize("code", ["NP105", "NP108", "NP109"])
def test_draws_whose_weights_can_not_be_believed_say_nothing_of_latents(code):
    p = with_densities(torch.zeros(5), torch.full((5,), 0.05))
    for k_hat, judged in ((0.69, True), (0.71, False), (float("nan"), False)):
        found = said(replace(p, provenance={"k_hat": k_hat, "worth": 500.0}), code)
        assert [f.severity == "not judged" for f in found] == [not judged]


def test_np105_tells_how_many_where_a_list_would_be_long():
    _, weak = said(posterior(torch.zeros(5), torch.tensor([0.2, 1.0, 1.0, 1.0, 1.0])), "NP105")
    assert weak.sentence.startswith("Voltage deflection, ")
    (caution,) = said(posterior(torch.zeros(5), torch.ones(5)), "NP105")
    assert caution.severity == "caution"  # nothing at all is known
    assert caution.sentence.startswith("5 of 5 latents are not informed")
    assert len(caution.evidence["latents"]) == 5


def test_names_become_words():
    assert in_words("log_first_isi_50pa") == "first interval at 50 pA"
    assert in_words("sag") == "sag"
    assert in_words("voltage_deflection_m110pa") == "voltage deflection at −110 pA"
