"""Recipes: all settings of a style's training, as frozen dataclasses.

`training.recipe_loader` reads them from TOML. Every field is followed by its meaning, and its type gives the
allowed values. Error messages and `streamtoon train --explain` are built from both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from engines.errors import StreamtoonError
from engines.looks.look import DEFAULT, Look


class RecipeError(StreamtoonError):
    """A recipe has an unknown key, a wrong type or a value out of range."""


MAX_NUMBER = 1e18
"""Every number in a recipe must be smaller than this."""


@dataclass(frozen=True)
class Between:
    """The numbers from `low` to `high`. `above` excludes `low` itself, `below` excludes `high`."""

    low: float
    high: float = float("inf")
    above: bool = False
    below: bool = False
    multiple: int = 1
    """Whole numbers must be multiples of this."""

    def holds(self, value: float) -> bool:
        """Return whether `value` is in range. NaN, infinities and numbers above `MAX_NUMBER` never are."""
        inside = self.low <= value <= self.high and abs(value) < MAX_NUMBER
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
    """A weight that changes linearly from `start` to `end` over its phase."""

    start: float = 0.0
    end: float = 0.0

    def at(self, progress: float) -> float:
        """Return the weight at `progress` of the phase, 0 to 1."""
        return self.start + (self.end - self.start) * progress

    @property
    def used(self) -> bool:
        """Whether the weight is ever different from 0."""
        return bool(self.start or self.end)


OFF = Ramp()


@dataclass(frozen=True)
class Data:
    """The training data. Relative paths start at the working directory."""

    source: str
    """Folder of the source images: photographs, for a cartoon style."""
    target: str = ""
    """Folder of the target images: drawings, for a cartoon style. Not used by recipes for fields."""
    show: str = ""
    """Folder of images for the sample pictures of the run. Best are images that are not in `source`. Default:
    images from `source`."""
    paired: bool = False
    """Whether every source image has its own target: a file with the same name and the same size."""
    smoothed: str = ""
    """Folder of the targets with smoothed edges (made by `streamtoon dataset smooth`), for `adversary.edges`.
    """
    crop: Annotated[int, Between(64, 1024, multiple=8)] = 192
    """Side of the square crops, in pixels."""
    smallest: Annotated[float, Between(0, 1, above=True)] = 0.6
    """Smallest random scale factor. Images are shrunk by a factor between this and 1 before they are cropped.
    Sources of recipes for fields are not shrunk."""
    scales: tuple[Share, ...] = (1.0, 0.5)
    """For recipes that learn from fields: the scales, relative to the photographs' own size, at which fields
    are computed."""
    noise: Annotated[float, Between(0, 64)] = 6.0
    """For recipes for fields: largest standard deviation of the noise added to half of the crops, in code
    values."""


@dataclass(frozen=True)
class Weights:
    """The weights of the terms of the generators' loss. Each is a number, or [first, last] for a weight that
    changes linearly.

    0 turns the term off and saves its cost. `training.loss_terms` defines each term.
    """

    reconstruction: Ramp = OFF
    """L1 distance between output and source. An initialization phase learns from it."""
    adversarial: Ramp = OFF
    """GAN loss of the discriminator that sees the images unchanged."""
    surface: Ramp = OFF
    """GAN loss of the discriminator that sees guided-filtered images (FPT UNet, L_surface)."""
    texture: Ramp = OFF
    """GAN loss of the discriminator that sees randomly weighted grey images (FPT UNet, L_texture)."""
    structure: Ramp = OFF
    """Feature distance between the output and its own superpixels (FPT UNet, L_structure)."""
    abstraction: Ramp = OFF
    """L1 distance to the abstraction program's drawing of the source, both of colours and of differences
    between neighbouring pixels. The table [abstraction] sets the look of that drawing."""
    content: Ramp = OFF
    """Feature distance between output and source (FPT UNet, L_sp; LWComicGAN, Eq. 3)."""
    gram: Ramp = OFF
    """Distance between the Gram matrices of the grey output and the grey targets (LWComicGAN, Eq. 4)."""
    color: Ramp = OFF
    """YUV distance to the source, or to its abstraction where the recipe uses one (LWComicGAN, Eq. 5)."""
    total_variation: Ramp = OFF
    """Difference between neighbouring pixels (FPT UNet, L_tv)."""
    scale: Ramp = OFF
    """L1 distance between the cartoon of the half-size image and the half-size cartoon."""
    consistency: Ramp = OFF
    """L1 distance between the cartoon (or fields) and that of the same image shifted and with noise. It
    steadies video."""
    cycle: Ramp = OFF
    """L1 distance between the source and its round trip to a cartoon and back (CycleGAN). It trains a second,
    backward generator."""
    cycle_features: Ramp = OFF
    """Distance between the same two images in the features of the source's discriminator (cartoon-to-human,
    Eq. 8)."""
    identity: Ramp = OFF
    """Mean squared distance between a target and the generator's output for that target (cartoon-to-human,
    Eq. 3)."""
    paired: Ramp = OFF
    """Mean squared distance between the output and the source's own target (cartoon-to-human, Eq. 5)."""
    match: Ramp = OFF
    """Distance between the discriminator's scores of the output and of its own target (cartoon-to-human, Eq.
    6)."""
    teacher: Ramp = OFF
    """L1 distance to the teacher's drawing, both of colours and of differences between neighbouring pixels
    (distillation)."""
    paint: Ramp = OFF
    """For fields: L1 distance to the abstraction program's paint, both of samples and of differences between
    neighbours."""
    ink: Ramp = OFF
    """For fields: L1 distance to the abstraction program's ink response, both of samples and of differences
    between neighbours. Inked samples count more."""
    lines: Ramp = OFF
    """For fields: L1 distance between the lines that a soft threshold makes from the two ink responses."""
    faces: Ramp = OFF
    """For fields: distance of the ink in features of faces, which are too small to count in other terms. It
    needs `fields.faces`."""
    drawing: Ramp = OFF
    """For fields: L1 distance between the two drawings in the look [abstraction], both of colours and of
    differences between neighbours."""
    drawing_features: Ramp = OFF
    """For fields: feature distance between these two drawings."""

    def used(self) -> set[str]:
        """Return the names of the terms with a weight other than 0."""
        return {field.name for field in dataclasses.fields(self) if getattr(self, field.name).used}

    @property
    def judged_whole(self) -> bool:
        """Whether a discriminator sees the images unchanged."""
        return self.adversarial.used or self.match.used

    def discriminator_views(self) -> list[str]:
        """Return the names of the views that have a discriminator."""
        views = {"adversarial": self.judged_whole, "surface": self.surface.used, "texture": self.texture.used}
        return [name for name, judged in views.items() if judged]


RENAMED_KEYS = {"colour": "color", "colour_blocks": "color_blocks", "colour_blind": "color_blind"}
"""Keys of earlier versions, and what replaced them."""
BACKWARD_TERMS = {"cycle", "cycle_features"}
"""The terms that need a backward generator."""
FIELD_TERMS = {"paint", "ink", "lines", "faces", "drawing", "drawing_features"}
"""The terms that only generators of fields have. Such generators can also use `consistency`."""
FEATURE_TERMS = {"structure", "content", "gram", "drawing_features"}
"""The terms that compare VGG features."""


def layer_names(network: Literal["vgg16", "vgg19"]) -> list[str]:
    """Return the names of VGG's convolutions, conv1_1 to conv5_3 or conv5_4."""
    blocks = (2, 2, 3, 3, 3) if network == "vgg16" else (2, 2, 4, 4, 4)
    return [f"conv{block}_{at + 1}" for block, count in enumerate(blocks, 1) for at in range(count)]


@dataclass(frozen=True)
class Initialization:
    """A first phase with its own weights, in which a generator learns to reproduce its input."""

    steps: Count = 0
    """Number of steps of this phase. 0 skips it."""
    weights: Weights = Weights(reconstruction=Ramp(1.0, 1.0))
    """The weights of this phase. They replace the table [weights]."""


@dataclass(frozen=True)
class FeatureSettings:
    """The network whose features the feature terms compare."""

    network: Literal["vgg16", "vgg19"] = "vgg16"
    """The network whose features are compared."""
    layer: str = "conv4_3"
    """The convolution whose output, before the activation, is compared, such as conv4_3. Distances are
    relative to the target's mean."""
    half: bool = False
    """Whether `content` compares images at half size. This costs a quarter of the time and preserves less
    detail."""


@dataclass(frozen=True)
class FieldSettings:
    """The settings of the abstraction program, which computes paint and ink from photographs
    (`training.abstraction.fields`).

    Lengths are in pixels of a photograph with a short side of about 720 pixels.
    """

    passes: Annotated[int, Between(1, 16)] = 4
    """Number of bilateral passes. Fewer passes leave texture; more passes merge small shapes."""
    sigma_distance: Annotated[float, Between(0.5, 16)] = 3.5
    """Spatial sigma of the bilateral filter, in pixels."""
    sigma_range: Annotated[float, Between(0.5, 50)] = 4.5
    """Range sigma of the bilateral filter, in units of L*a*b*. Weaker edges are painted over."""
    threshold: Annotated[float, Between(0.001, 0.2)] = 0.020
    """Difference of Gaussians of L* / 100 at which a line begins on mid-grey."""
    floor: Annotated[float, Between(0.01, 10)] = 0.30
    """Added to L* / 100 when the threshold is scaled by brightness. Dark areas need smaller differences
    (Weber's law)."""
    kept: Share = 0.7
    """Share of small isolated features that is put back onto the paint. On skin the share is always 1."""
    skin_lines: Factor = 1.2
    """Factor on the strength of fine lines on skin colours. It keeps eyes and mouths in small faces."""
    faces: bool = False
    """Whether eyes, brows and mouths of small faces are drawn however faint they are. MediaPipe's models find
    them. Each photograph with faces then also gives a sheet of its heads, small, dim and blurred."""


@dataclass(frozen=True)
class AdversarySettings:
    """The discriminators and the GAN objective.

    With every objective, each discriminator takes one step per step of the generators, on the same batch. The
    papers do not say otherwise. (WGAN's authors use five critic steps.)
    """

    discriminator: Literal["lwcomicgan", "patchgan", "residual", "resnet18", "vgg-heads", "white-box"] = (
        "vgg-heads"
    )
    """The discriminator network. vgg-heads learns much faster than the others on small sets."""
    objective: Literal["vanilla", "least-squares", "hinge", "wasserstein-clip", "wasserstein-gp"] = "hinge"
    """The GAN objective of all discriminators and of the generators' adversarial terms."""
    gradient_penalty: Factor = 10.0
    """Weight of the gradient penalty of wasserstein-gp."""
    clip: Annotated[float, Between(0, above=True)] = 0.01
    """Largest absolute weight of the discriminator, for wasserstein-clip."""
    soft_labels: bool = False
    """Whether labels are random in 0.9..1 and 0..0.1 instead of 1 and 0. For vanilla and least-squares."""
    edges: Factor = 0.0
    """Weight of targets with smoothed edges as additional fakes (CartoonGAN's edge-promoting loss)."""
    history: Count = 0
    """Size of the pool of earlier fakes that discriminators see again (CycleGAN: 50). 0 turns it off."""
    color_blind: bool = False
    """Whether the discriminator of `surface` sees randomly mixed colours. It then judges shapes, and the
    source keeps its hues."""


@dataclass(frozen=True)
class Optimizer:
    """The optimizers. The generators share one; every discriminator has its own."""

    name: Literal["adam", "sgd"] = "adam"
    """The optimizer of all networks."""
    generator_rate: Rate = 1.5e-4
    """Learning rate of the generators, before the schedule is applied."""
    discriminator_rate: Rate = 1.5e-4
    """Learning rate of the discriminators, before the schedule is applied."""
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """Schedule of both learning rates. cosine warms up for 100 steps, then falls along half a cosine to a
    tenth. linear is constant for the first half and falls to 0 in the second (CycleGAN). The generators'
    schedule spans the whole run; the discriminators' spans the phase in which they learn."""
    betas: tuple[Decay, Decay] = (0.5, 0.99)
    """Adam's beta_1 and beta_2."""
    clip_gradients: Factor = 0.0
    """Largest norm of the generators' gradient. 0 turns clipping off."""


@dataclass(frozen=True)
class DataSourceFacts:
    """A set of images that the style was trained on, as listed on the style's card."""

    name: str
    licence: str
    source: str = ""
    """A web address or another place where the set can be found."""


@dataclass(frozen=True)
class Card:
    """The entries of the finished style's card that training does not know itself. `engines.registry.card`
    documents the keys.
    """

    title: str
    """The style's name for people."""
    description: str
    """One sentence about how the style looks."""
    licence: str
    """The licence under which the style may be shared, such as CC-BY-4.0."""
    attribution: str = ""
    """The credit that the licence asks for."""
    working_height: Annotated[int, Between(16, 4320)] = 720
    """Short side, in pixels, at which the style draws in quality `full`."""
    radius: Annotated[int, Between(0, 64)] = 2
    """Radius of the guided filter, in pixels at the style's working size."""
    eps: Annotated[float, Between(1e-7, 1)] = 1e-3
    """Regularisation of the guided filter, as a fraction of the squared value range."""
    lines: Share = 0.0
    """Share of the drawn lines that is put back after the guided filter has smoothed them away."""
    data: tuple[DataSourceFacts, ...] = ()
    """The sets of images that the style was trained on. Each is a table [[card.data]]."""


@dataclass(frozen=True)
class Recipe:
    """All settings of one style's training."""

    name: str
    """Name of the recipe and of the style: lower-case letters, digits, - and _."""
    data: Data
    weights: Weights
    card: Card
    generator: str = "unet"
    """The generator network."""
    start: str = ""
    """A style (name or folder) whose weights the generator starts from. Default: randomly initialised
    weights."""
    teacher: str = ""
    """A style (name or folder) whose drawings the term `teacher` learns from."""
    steps: Count = 0
    """Number of steps after the initialization. Exactly one of `steps` and `epochs` must be given."""
    epochs: Count = 0
    """Number of passes over the source images after the initialization, instead of `steps`."""
    batch: Positive = 16
    """Number of source crops in a step."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Precision of the networks' arithmetic. auto is bf16 if the device computes it in hardware, else fp32.
    Weights, losses and averages stay fp32."""
    ema: Decay = 0.999
    """Decay per step of the averaged weights (EMA). The finished style has the averaged weights."""
    color_blocks: Annotated[int, Between(1, 64)] = 1
    """Side, in pixels, of the blocks whose mean colours the term `color` compares. 1 compares pixels, as in
    Eq. 5."""
    checkpoints: Positive = 20
    """Number of checkpoints of the averaged weights, evenly spaced over the run. `streamtoon score` compares
    them."""
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    """Random seed of the run."""
    initialization: Initialization = Initialization()
    features: FeatureSettings = FeatureSettings()
    fields: FieldSettings = FieldSettings()
    abstraction: Look = DEFAULT
    """The look of the abstraction program's drawings, for the terms that use them."""
    adversary: AdversarySettings = AdversarySettings()
    optimizer: Optimizer = Optimizer()

    @property
    def makes_fields(self) -> bool:
        """Whether the generator outputs paint and ink for looks instead of a finished image."""
        return bool(self.terms() & FIELD_TERMS)

    @property
    def learns_from_fields(self) -> bool:
        """Whether the abstraction program has to compute fields of the photographs first."""
        return self.makes_fields or "abstraction" in self.terms()

    def terms(self) -> set[str]:
        """Return the names of the terms that either phase uses."""
        first = self.initialization.weights.used() if self.initialization.steps else set()
        return first | self.weights.used()
