"""Recipes: everything that makes a style, as frozen dataclasses. `training.recipe_file` reads them from TOML.

Every field says what it means, and its type what it may be: both are what an error message is made of.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from engines.errors import StreamtoonError


class RecipeError(StreamtoonError):
    """A recipe has a key, type or value that it may not have."""


BEYOND = 1e18
"""No number of a recipe is as large."""


@dataclass(frozen=True)
class Between:
    """The numbers from `low` to `high`; `above` leaves `low` itself out, `below` `high`."""

    low: float
    high: float = float("inf")
    above: bool = False
    below: bool = False
    multiple: int = 1
    """What whole numbers are multiples of."""

    def holds(self, value: float) -> bool:
        """Whether the value is one of them; NaN, infinities and what is beyond all sense never are."""
        inside = self.low <= value <= self.high and abs(value) < BEYOND
        ends = (self.above and value == self.low) or (self.below and value == self.high)
        return inside and not ends and (self.multiple == 1 or value % self.multiple == 0)

    def __str__(self) -> str:
        kind = f"a multiple of {self.multiple} " if self.multiple > 1 else ""
        if self.high == float("inf"):
            return f"{kind}above {self.low:g}" if self.above else f"{kind}{self.low:g} or more"
        start = "above" if self.above else "from"
        return f"{kind}{start} {self.low:g} to {'below ' if self.below else ''}{self.high:g}"


Count = Annotated[int, Between(0)]
Positive = Annotated[int, Between(1)]
Share = Annotated[float, Between(0, 1)]
Decay = Annotated[float, Between(0, 1, below=True)]
Rate = Annotated[float, Between(0, 1, above=True)]
Factor = Annotated[float, Between(0)]


@dataclass(frozen=True)
class Ramp:
    """A weight that goes from `start` to `end` along a straight line while its phase lasts."""

    start: float = 0.0
    end: float = 0.0

    def at(self, progress: float) -> float:
        """The weight when `progress`, 0 to 1, of the phase is done."""
        return self.start + (self.end - self.start) * progress

    @property
    def used(self) -> bool:
        """Whether it is ever anything but 0."""
        return bool(self.start or self.end)


OFF = Ramp()


@dataclass(frozen=True)
class Data:
    """What is learned from. Relative paths start at the working directory."""

    source: str
    """Folder of pictures of the kind that is to be translated: photographs, for a cartoon style."""
    target: str
    """Folder of pictures of the kind that is wanted: drawings, for a cartoon style."""
    show: str = ""
    """Folder of pictures to watch the training on, best ones that are not in `source`; empty: of `source`."""
    paired: bool = False
    """Whether every source has its target: the file of the same name and of the same size."""
    smoothed: str = ""
    """Folder of the targets with smoothed edges (`streamtoon dataset smooth`), for `adversary.edges`."""
    crop: Annotated[int, Between(64, 1024, multiple=8)] = 192
    """Side of the square crops, pixels."""
    smallest: Annotated[float, Between(0, 1, above=True)] = 0.6
    """Pictures are shrunk by a random factor from here to 1 before they are cut."""


@dataclass(frozen=True)
class Weights:
    """The weight of every term of the generators' loss, a number or [first, last] for one that moves.

    0 leaves the term and its cost out. `training.terms` defines each.
    """

    reconstruction: Ramp = OFF
    """L1 distance to the source: what an initialization phase learns."""
    adversarial: Ramp = OFF
    """Discriminator on the pictures as they are."""
    surface: Ramp = OFF
    """Discriminator on guided-filtered pictures (FPT UNet, L_surface)."""
    texture: Ramp = OFF
    """Discriminator on random grey pictures (FPT UNet, L_texture)."""
    structure: Ramp = OFF
    """Distance of features between the output and its own superpixels (FPT UNet, L_structure)."""
    abstraction: Ramp = OFF
    """L1 distance to the source's flat, inked abstraction, of colours and of steps between neighbours."""
    content: Ramp = OFF
    """Distance of features between output and source (FPT UNet, L_sp; LWComicGAN, Eq. 3)."""
    gram: Ramp = OFF
    """Distance of the Gram matrices of grey output and grey targets (LWComicGAN, Eq. 4)."""
    colour: Ramp = OFF
    """YUV distance to the source or, where it is learned from, its abstraction (LWComicGAN, Eq. 5)."""
    total_variation: Ramp = OFF
    """Neighbouring pixels' difference (FPT UNet, L_tv)."""
    scale: Ramp = OFF
    """L1 distance between the half-size picture's cartoon and the cartoon at half its size."""
    consistency: Ramp = OFF
    """L1 distance between the cartoon and that of the picture shifted a little, under noise: for video."""
    cycle: Ramp = OFF
    """L1 distance after there and back (CycleGAN); trains a second generator for the way back."""
    cycle_features: Ramp = OFF
    """The same between the features of the source's discriminator (cartoon-to-human, Eq. 8)."""
    identity: Ramp = OFF
    """Mean square distance of a target from what the generator makes of it (cartoon-to-human, Eq. 3)."""
    paired: Ramp = OFF
    """Mean square distance to the source's own target (cartoon-to-human, Eq. 5)."""
    match: Ramp = OFF
    """Distance of the discriminator's scores of output and own target (cartoon-to-human, Eq. 6)."""
    teacher: Ramp = OFF
    """L1 distance to the teacher's drawing, of colours and of steps between neighbours (distillation)."""

    def used(self) -> set[str]:
        """The names of the terms that are learned from."""
        return {field.name for field in dataclasses.fields(self) if getattr(self, field.name).used}

    @property
    def judged_whole(self) -> bool:
        """Whether a discriminator sees the pictures as they are."""
        return self.adversarial.used or self.match.used

    def judges(self) -> list[str]:
        """The views that discriminators judge, each by one of its own."""
        views = {"adversarial": self.judged_whole, "surface": self.surface.used, "texture": self.texture.used}
        return [name for name, judged in views.items() if judged]


RETURNS = {"cycle", "cycle_features"}
"""The terms that need a generator for the way back."""
SEES_FEATURES = {"structure", "content", "gram"}
"""The terms that look through VGG."""


def layer_names(network: Literal["vgg16", "vgg19"]) -> list[str]:
    """VGG's convolutions by their names, conv1_1 to conv5_3 or conv5_4."""
    blocks = (2, 2, 3, 3, 3) if network == "vgg16" else (2, 2, 4, 4, 4)
    return [f"conv{block}_{at + 1}" for block, count in enumerate(blocks, 1) for at in range(count)]


@dataclass(frozen=True)
class Initialization:
    """A first phase with weights of its own, by which a generator learns to draw what it sees."""

    steps: Count = 0
    weights: Weights = Weights(reconstruction=Ramp(1.0, 1.0))


@dataclass(frozen=True)
class Features:
    """What the terms on features look through."""

    network: Literal["vgg16", "vgg19"] = "vgg16"
    layer: str = "conv4_3"
    """Before its activation, as `conv4_3`; features are compared relative to the target's mean."""
    half: bool = False
    """Whether content is compared at half size: a quarter of the work, and a looser hold on detail."""


Level = Annotated[int, Between(0, 255)]


@dataclass(frozen=True)
class Abstraction:
    """How sources are made flat and inked for the term `abstraction`."""

    paint: Literal["regions", "brush"] = "regions"
    """regions: superpixels over mean-shift smoothing, flat; brush: bilateral smoothing, softer on faces."""
    ink: Share = 0.8
    """How dark the lines are."""
    lift: Annotated[float, Between(0, 4, above=True)] = 0.88
    """Exponent on luma; below 1 it opens the shadows, as a painter who fears mud does."""
    saturation: Factor = 1.3
    """Factor on the distance from grey."""
    palette: tuple[tuple[Level, Level, Level], ...] = ()
    """RGB that greys become, evenly spaced from black to white; colours lie around them. Empty: greys."""


PLAIN = Abstraction()


@dataclass(frozen=True)
class Adversary:
    """What the discriminators are and what game is played.

    For every objective each discriminator takes one step for one of the generators, on the same batch:
    the papers say nothing else. (WGAN's authors give critics five.)
    """

    discriminator: Literal["lwcomicgan", "patchgan", "residual", "resnet18", "vgg-heads", "white-box"] = (
        "vgg-heads"
    )
    """`training.discriminators` has them; vgg-heads learn much faster than the others on small sets."""
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein-clip", "wasserstein-gp"] = "hinge"
    gradient_penalty: Factor = 10.0
    """Weight of wasserstein-gp's penalty."""
    clip: Annotated[float, Between(0, above=True)] = 0.01
    """Bound of wasserstein-clip's weights."""
    soft_labels: bool = False
    """Labels drawn from 0.9..1 and 0..0.1 instead of 1 and 0, for vanilla and least-squares."""
    edges: Factor = 0.0
    """Weight with which targets with smoothed edges count as fakes (CartoonGAN's edge-promoting loss)."""
    history: Count = 0
    """Fakes that are remembered and shown to discriminators again (CycleGAN: 50)."""
    colour_blind: bool = False
    """Whether `surface` sees through random colours: it then judges shapes, and hues stay the source's."""


@dataclass(frozen=True)
class Optimizer:
    """How networks are stepped; the generators by one optimizer, every discriminator by its own."""

    name: Literal["adam", "sgd"] = "adam"
    generator_rate: Rate = 1.5e-4
    discriminator_rate: Rate = 1.5e-4
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """Of both rates: cosine climbs for 100 steps, then falls along half a cosine to a tenth; linear stays
    for the first half and falls to 0 in the second (CycleGAN). The generators' runs over the whole run, the
    discriminators' over the phase in which they learn."""
    betas: tuple[Decay, Decay] = (0.5, 0.99)
    """Adam's."""
    clip_gradients: Factor = 0.0
    """Largest norm of the generators' gradient; 0 leaves it as it is."""


@dataclass(frozen=True)
class Source:
    """Pictures that a style was trained on, as its card names them."""

    name: str
    licence: str
    source: str = ""
    """An address or a place."""


@dataclass(frozen=True)
class Card:
    """What the finished style's card says beside what training knows; `engines.card` documents the keys."""

    title: str
    description: str
    licence: str
    attribution: str = ""
    working_height: Annotated[int, Between(16, 4320)] = 720
    radius: Annotated[int, Between(0, 64)] = 2
    """Of the guided filter, in pixels at the style's own size."""
    eps: Annotated[float, Between(1e-7, 1)] = 1e-3
    """Of the guided filter, as a fraction of the range squared."""
    lines: Share = 0.0
    """Share of the drawn lines that the guided filter would smooth away and that is put back."""
    data: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A style in the making."""

    name: str
    data: Data
    weights: Weights
    card: Card
    generator: str = "unet"
    start: str = ""
    """A style, by name or folder, whose weights the generator sets out from; empty: a fresh start."""
    teacher: str = ""
    """A style, by name or folder, whose drawings the term `teacher` learns from."""
    steps: Count = 0
    """Steps after the initialization; exactly one of `steps` and `epochs` is given."""
    epochs: Count = 0
    """The same, counted in passes over the source."""
    batch: Positive = 16
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    """Of the networks' arithmetic; weights, losses and averages stay fp32."""
    ema: Decay = 0.999
    """Decay per step of the averaged weights, which are what is shipped."""
    colour_blocks: Annotated[int, Between(1, 64)] = 1
    """Side of the blocks whose mean colours the term `colour` compares, pixels; 1 is Eq. 5's own."""
    checkpoints: Positive = 20
    """Averaged weights that are kept, evenly over the run, to choose from by score."""
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    initialization: Initialization = Initialization()
    features: Features = Features()
    abstraction: Abstraction = PLAIN
    adversary: Adversary = Adversary()
    optimizer: Optimizer = Optimizer()

    def terms(self) -> set[str]:
        """The names of the terms that either phase learns from."""
        first = self.initialization.weights.used() if self.initialization.steps else set()
        return first | self.weights.used()
