"""NP106: how much noise did it take to explain the recording?

The program may explain what the decoder can not reach as noise: changes of timing and features from sweep to sweep,
phase diffusion, an excess of the decoder's own error. Its sizes then say more about the model's failure than about the
cell. *Issue* when sweeps have to differ by more than 10 % in a rate of 50 Hz (which is 50 % in one of 20 Hz) or 40 % in
a latency of 10 ms, or features by more than five times what is usual between sweeps, or the phase has to diffuse by
more than 2 spikes/s^1/2 (which jitters single intervals at 50 Hz by 28 %), or the decoder has to err six times as much
as on its validation neurons; *caution* above 5 %, 20 %, three times, 1 spike/s^1/2 (14 %) and three times. *Passed*
otherwise. The sentence tells the sizes that are beyond a limit, or all of a pass. Posterior medians are judged, each on
its own. Not emitted where noise was switched off. A right recording may be a noisy one, for each prior of a size lies
above its limit of a caution with a chance of 1 to 6 %: of 220 recordings drawn from the program 25 met a caution (11 %,
standard error 2.1) and 3 an issue (1.4 %, 0.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from noble_prob.features import FEATURES
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import amount
from noble_prob.inference.posterior import Posterior
from noble_prob.noise.scales import USUAL

LIMITS = {
    "decoder_excess": (2.0, 5.0),
    "phase_diffusion": (1.0, 2.0),
    "trial_timing": (0.2, 0.4),
    "trial_rate": (0.05, 0.1),
    "trial_rest": (3.0, 5.0),
    "trial_passive": (3.0, 5.0),
    "trial_shape": (3.0, 5.0),
}
SHOWN = {
    "trial_rest": {"resting_voltage_mv": ""},
    "trial_passive": {"voltage_deflection_mv": "deflection"},
    "trial_shape": {"ap1_peak_mv": "peak", "ap1_width_ms": "width"},
}
"""Features in whose unit a size is told, and the word for each."""
REMEDY = (
    "Look at the predictive checks by sweep (noble-prob report POSTERIOR --recording FILE): the posterior describes "
    "the nearest cell the decoder knows."
)


@check("NP106", "Noise needed", Posterior)
def noise(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding about the scales between sweeps and the one within."""
    size = {name: float(value.median()) for name, value in result.scales.items()}
    if not size:
        return
    words = {
        "trial_timing": f"the latency differs between sweeps by {100 * size.get('trial_timing', 0):.1f} % at 10 ms",
        "trial_rate": f"the rate differs between sweeps by {100 * size.get('trial_rate', 0):.1f} % at 50 Hz",
        "trial_rest": f"the resting voltage differs between sweeps by {_times(size, 'trial_rest')}",
        "trial_passive": f"sub-threshold responses differ between sweeps by {_times(size, 'trial_passive')}",
        "trial_shape": f"the shape of spikes differs between sweeps by {_times(size, 'trial_shape')}",
        "decoder_excess": f"the decoder errs {1 + size.get('decoder_excess', 0):.2g} times as much as on validation",
        "phase_diffusion": f"the phase diffuses by {size.get('phase_diffusion', 0):.2g} spikes/s^1/2",
    }
    level = {name: sum(size[name] > limit for limit in LIMITS[name]) for name in words if name in size}
    beyond = [words[name] for name in level if level[name]]
    if beyond:
        severity = "issue" if max(level.values()) == 2 else "caution"
        yield say(severity, f"The recording is explained by noise: {'; '.join(beyond)}.", REMEDY, **size)
    else:
        told = "; ".join(words[name] for name in level)
        yield say("passed", f"Little noise explains the recording: {told}.", **size)


def _times(size: Mapping[str, float], site: str) -> str:
    """A size in units of what is usual, and what that is in mV and ms for the features that show it best."""
    times = size.get(site, 0.0)
    shown = ", ".join(
        f"{word} {amount(times * USUAL[name], FEATURES[name].unit)}".strip() for name, word in SHOWN[site].items()
    )
    how = "" if f"{times:.2g}" == "1" else f"{times:.2g} times "
    return f"{how}what is usual ({shown})"
