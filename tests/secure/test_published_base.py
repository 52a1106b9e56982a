"""Published codecs as bases: narrow networks with weights by formula, trained by the real loop with the real loss."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_lucid import values
from tiny_published import tiny_network, tiny_picture
from torch import Tensor, nn

from miscomp.codecs.checkpoints import checkpoints_of
from miscomp.codecs.networks.base import Network
from miscomp.codecs.networks.bottleneck import EntropyBottleneck
from miscomp.codecs.networks.gdn import GDN
from miscomp.codecs.spec import open_spec, parse_spec
from miscomp.codecs.weight_files import to_bytes, write
from miscomp.codecs.weight_store import fetch
from miscomp.errors import UsageError, WeightsError
from miscomp.metrics.log_mse import LogMse
from miscomp.secure import bases
from miscomp.secure.adversarial import SelfDestructing, SelfDestruction
from miscomp.secure.attacks import Attacker
from miscomp.secure.config import SecureConfig
from miscomp.secure.published_base import TRAINABLE, PublishedBase, open_base
from miscomp.tensors import eight_bit
from miscomp.training.checkpoint import CHECKPOINT
from miscomp.training.crops import CropSource
from miscomp.training.jpeg_simulation import open_simulation
from miscomp.training.loop import Stopped, train
from miscomp.training.runfolder import Surroundings

LMBDA = 0.013
# A large alpha, so that four steps show in the adversarial loss.
CONFIG = SecureConfig(
    steps=4,
    batch_size=2,
    crop=64,
    learning_rate=3e-3,
    warmup=1,
    precision="no",
    ema=0.0,
    attacks="noise,jpeg",
    alpha=20,
)
QUALITY = torch.full((2, 1, 4, 4), 0.5)
NAMED = ("bmshj2018-hyperprior", "mbt2018", "cheng2020-anchor")


def crops() -> CropSource:
    return CropSource([tiny_picture(96, 128)], crop=64, batch_size=2, seed=0)


def base_of(name: str) -> PublishedBase:
    return PublishedBase(name, copy.deepcopy(tiny_network(name)), lmbda=LMBDA)


def picture(side: int = 64) -> Tensor:
    return torch.from_numpy(tiny_picture(side, side)).permute(2, 0, 1)[None].float() / 255


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss_of(base: PublishedBase, config: SecureConfig = CONFIG) -> SelfDestruction:
    attacker = Attacker(kinds=config.attacks.split(","), jpeg=open_simulation("exact"))
    return SelfDestruction(LogMse(), attacker, config, base)


def trained(
    base: PublishedBase, folder: Path, config: SecureConfig = CONFIG, around: Surroundings | None = None
) -> nn.Module:
    model = SelfDestructing(base).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return train(model, loss_of(base, config), crops(), config, folder, around=around)


def saved(name: str, folder: Path) -> Path:
    path = folder / f"{name}.safetensors"
    write(path, to_bytes(dict(tiny_network(name).state_dict()), {}))
    return path


def figures(base: PublishedBase) -> dict[str, float]:
    """Of one batch, with the noise and edits of one seed."""
    base.train()
    x, quality = crops().batch(100)
    with torch.no_grad():
        value, figures = loss_of(base)(SelfDestructing(base), x, quality, generator())
    return {"loss": float(value), **figures}


@pytest.mark.parametrize("name", NAMED)
def test_a_few_steps_of_the_loop_lower_the_adversarial_loss_and_move_every_weight(name: str, tmp_path: Path) -> None:
    base = base_of(name)
    before = {key: tensor.clone() for key, tensor in base.state_dict().items()}
    earlier = figures(base)
    trained(base, tmp_path)
    later = figures(base)
    assert all(np.isfinite(list(later.values())))
    assert later["adversarial"] < earlier["adversarial"]
    moved = {key for key, tensor in base.state_dict().items() if not torch.equal(tensor, before[key])}
    assert before.keys() - moved == {"network.entropy_bottleneck.quantiles"}


@pytest.mark.parametrize("name", TRAINABLE)
def test_gradients_reach_analysis_and_synthesis_through_the_second_pass_alone(name: str) -> None:
    base = base_of(name).train()
    x1 = eight_bit(base.first(picture(), QUALITY[:1], generator()).x_hat.detach())
    x2 = base.again(x1.requires_grad_(), QUALITY[:1], generator())
    assert x2.shape == x1.shape
    (x1 - x2).square().mean().backward()
    ends = ("patch_embed", "end_conv") if name == "stf" else ("g_a", "g_s")
    for end in ends:
        gradients = [weight.grad for key, weight in base.network.named_parameters() if key.startswith(end)]
        assert gradients and all(one is not None and one.isfinite().all() and one.abs().sum() > 0 for one in gradients)
    # What is compressed again was made by the same networks: it has to learn too.
    assert x1.grad is not None and float(x1.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", TRAINABLE)
def test_noise_is_of_the_generator_alone_and_leaves_torch_s_own_as_it_was(name: str) -> None:
    base, x = base_of(name).train(), picture()

    def both(seed: int) -> tuple[Tensor, ...]:
        noise = generator(seed)
        return (
            *base.first(x, QUALITY[:1], noise),
            *base.first(x, QUALITY[:1], noise),
            base.again(x, QUALITY[:1], noise),
        )

    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    one = both(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    assert all(torch.equal(a, b) for a, b in zip(one, both(1), strict=True))
    assert not torch.equal(one[1], both(2)[1])
    assert not torch.equal(one[1], one[3])


@pytest.mark.parametrize("name", [name for name in TRAINABLE if name != "stf"])
def test_both_passes_make_their_picture_of_latents_with_uniform_noise(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, x = base_of(name).train(), picture()
    drawn: list[Tensor] = []

    def kept(y: Tensor, noise: Tensor | None = None) -> Tensor:
        drawn.append(y)
        return y[:, :3]

    monkeypatch.setattr(base.network, "synthesise", kept)
    with torch.no_grad():
        y = base.network.analyse(x)
        base.first(x, QUALITY[:1], generator())
        base.again(x, QUALITY[:1], generator())
    assert len(drawn) == 2
    for y_hat in drawn:
        off = y_hat - y
        # Oracle: a uniform distribution of width 1 deviates by the root of 1 / 12.
        assert float(off.abs().max()) <= 0.5 + 1e-6
        assert float(off.std()) == pytest.approx(12**-0.5, rel=0.15)


@pytest.mark.parametrize("name", TRAINABLE)
def test_in_evaluation_both_passes_round(name: str) -> None:
    base, x = base_of(name).eval(), picture()
    with torch.no_grad():
        wanted = tiny_network(name)(x)
        first, again = base.first(x, QUALITY[:1], None), base.again(x, QUALITY[:1], generator())
    assert torch.equal(first.x_hat, wanted.x_hat) and torch.equal(first.bits, wanted.bits)
    assert torch.equal(again, wanted.x_hat)


def test_mixed_precision_leaves_the_networks_in_float32() -> None:
    base, x = base_of("mbt2018").train(), picture()
    plain = base.first(x, QUALITY[:1], generator())
    with torch.autocast("cpu", torch.bfloat16):
        mixed, again = base.first(x, QUALITY[:1], generator()), base.again(x, QUALITY[:1], generator())
    assert torch.equal(plain.x_hat, mixed.x_hat) and torch.equal(plain.bits, mixed.bits)
    assert again.dtype == torch.float32


@pytest.mark.parametrize("name", ["mbt2018"])
def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(name: str, tmp_path: Path) -> None:
    config = replace(CONFIG, ema=0.9, steps=3)
    whole = trained(base_of(name), tmp_path / "a", config)
    answers: Iterator[bool] = iter([False, True])
    with pytest.raises(Stopped):
        trained(base_of(name), tmp_path / "b", config, Surroundings(stop=lambda: next(answers)))
    torch.manual_seed(99)  # what else goes on in the process does not matter
    resumed = trained(base_of(name), tmp_path / "b", config)
    states = [{**torch.load(tmp_path / run / CHECKPOINT, weights_only=True)["model"]} for run in ("a", "b")]
    for one, two in (states, (whole.state_dict(), resumed.state_dict())):
        assert all(torch.equal(tensor, two[key]) for key, tensor in one.items())


@pytest.mark.parametrize("name", [*NAMED, "stf"])
def test_what_was_trained_is_exported_and_codes_as_the_codec_with_a_file(name: str, tmp_path: Path) -> None:
    base = base_of(name)
    trained(base, tmp_path, replace(CONFIG, steps=1))
    own = base.codec()
    out = tmp_path / "trained.safetensors"
    sha256 = base.export(out, crops(), first=0, batches=0)
    codec = open_spec(parse_spec(f"{name}@file:{out}"))
    assert codec.weights_sha256(None) == sha256  # type: ignore[attr-defined]
    pixels = tiny_picture(70, 90)
    content, same = codec.compress(pixels, 3), own.compress(pixels, 3)
    decoded = codec.decompress(content)
    # The same networks in memory code the same; only the file's hash in the header differs.
    assert np.array_equal(decoded, own.decompress(same)) and len(content) == len(same)
    # Oracle: the network's own estimate, where files round as it does.
    if name == "bmshj2018-hyperprior":
        padded = np.pad(pixels, ((0, 58), (0, 38), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            x_hat = base.network.eval()(x).x_hat[0, :, :70, :90].clamp(0, 1).mul(255).round()
        assert np.abs(decoded.astype(float) - x_hat.permute(1, 2, 0).numpy()).mean() < 0.5
    again = tmp_path / "again.safetensors"
    assert base.export(again, crops(), first=9, batches=3) == sha256


def test_export_fits_the_quantiles_and_refuses_what_cannot_code(tmp_path: Path) -> None:
    base = base_of("mbt2018")
    density = base.network.entropy_bottleneck
    assert isinstance(density, EntropyBottleneck)
    with torch.no_grad():
        density.quantiles.zero_()
    base.export(tmp_path / "fine.safetensors", crops(), first=0, batches=0)
    cumulative = torch.sigmoid(density.logits(density.quantiles.detach().double()))
    half = torch.full((density.channels,), 0.5, dtype=torch.float64)
    torch.testing.assert_close(cumulative[:, 0, 1].detach(), half, rtol=0, atol=1e-5)
    with torch.no_grad():
        density.biases[0][2] = torch.nan
    for action in (base.codec, lambda: base.export(tmp_path / "x", crops(), first=0, batches=0)):
        with pytest.raises(WeightsError, match=r"the trained networks cannot code .*no median"):
            action()
    assert [path.name for path in tmp_path.iterdir()] == ["fine.safetensors"]


def test_normalisation_stays_valid_where_steps_take_its_stored_numbers_below_their_bounds() -> None:
    gdn = GDN(4)
    with torch.no_grad():
        gdn.beta.fill_(-1.0)
        gdn.gamma.fill_(-1.0)
    x = values("x", 1, 4, 8, 8).requires_grad_()
    out = gdn(x)
    assert out.isfinite().all()
    # Oracle: beta 1e-6 and gamma 0 leave x * 1000.
    torch.testing.assert_close(out, x * 1000, rtol=1e-3, atol=0)
    (-out.square().mean()).backward()
    assert gdn.beta.grad is not None and gdn.gamma.grad is not None
    # Larger outputs would want them still smaller: no gradient; smaller ones lift them again.
    assert not gdn.beta.grad.any() and not gdn.gamma.grad.any()
    gdn.zero_grad()
    gdn(x).square().mean().backward()
    assert bool((gdn.beta.grad < 0).all())


def test_a_base_of_a_quality_begins_with_the_fetched_weights_and_their_lambda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="not on this machine"):
        bases.open_base("stf@q2")
    fetch(checkpoints_of("stf")[1], from_file=saved("stf", tmp_path))
    base = bases.open_base("stf@q2")
    assert float(base.lmbda(torch.zeros(()))) == pytest.approx(0.0035)
    assert base.lmbda(QUALITY).shape == QUALITY.shape
    assert base.qualities(0.2, 0.7) == (1.0, 1.0)
    # What is trained is a copy: the codec goes on with the published weights.
    codec, pixels = open_spec(parse_spec("stf@q2")), tiny_picture(64, 64)
    before = codec.compress(pixels, 2)
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(2)
    assert codec.compress(pixels, 2) == before
    assert float(bases.open_base("stf@q2", lmbda=0.02).lmbda(QUALITY).mean()) == pytest.approx(0.02)


def test_a_file_of_weights_needs_a_lambda_or_a_quality(tmp_path: Path) -> None:
    path = saved("mbt2018", tmp_path)
    for spec, start in ((f"mbt2018@file:{path}", None), ("mbt2018", path)):
        with pytest.raises(UsageError, match=r"nothing says for which .*lmbda, such as 0\.0067"):
            open_base(spec, start)
        base = open_base(spec, start, 0.05)
        assert float(base.lmbda(QUALITY).mean()) == pytest.approx(0.05)
    base = open_base("mbt2018@q8", path)
    assert float(base.lmbda(QUALITY).mean()) == pytest.approx(0.18)
    wanted: Network = tiny_network("mbt2018")
    assert all(torch.equal(tensor, base.network.state_dict()[key]) for key, tensor in wanted.state_dict().items())
    assert {key for key, weight in base.network.named_parameters() if not weight.requires_grad} == {
        "entropy_bottleneck.quantiles"
    }
    with pytest.raises(UsageError, match="has a file already"):
        open_base(f"mbt2018@file:{path}", path, 0.05)


@pytest.mark.parametrize("name", TRAINABLE)
def test_lambdas_are_those_of_the_checkpoints(name: str, tmp_path: Path) -> None:
    path = saved(name, tmp_path)
    for checkpoint in checkpoints_of(name)[::5]:
        # Oracle: what the list of published files says of each.
        found = re.search(r"lambda (\d\.\d+)", checkpoint.note)
        assert found is not None
        base = open_base(f"{name}@q{checkpoint.quality}", path)
        assert float(base.lmbda(torch.zeros(()))) == pytest.approx(float(found[1]))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hific@q1", "decoder is generative"),
        ("cdc", "decoder is generative"),
        ("mbt2018-ms-ssim@q3", "trained for MS-SSIM, .*sibling is mbt2018; take lucid"),
        ("jpeg@q50", "has no networks; take lucid, bmshj2018-factorized"),
        ("mbt2018@0.5bpp", "has to be at a quality, such as mbt2018@q3"),
        ("mbt2018@like:lucid", "has to be at a quality"),
        ("mbt2018@q9", "a whole number from 1 to 8"),
        ("lucid@q0.5", "needs no setting"),
    ],
)
def test_what_cannot_be_a_base_is_refused_with_what_can(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bases.open_base(spec)


def test_lucid_takes_no_lambda() -> None:
    with pytest.raises(UsageError, match="lucid takes no lmbda"):
        bases.open_base("lucid", lmbda=0.1)
