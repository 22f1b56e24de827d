"""`streamtoon doctor`: what this machine can run."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from streamtoon.cli.common import JsonOption, console, print_json, printable

if TYPE_CHECKING:
    from rich.table import Table

    from engines.backends import BackendRow
    from streamtoon.machine import Cuda, Gpu, Machine

YES, NO = "yes", "no"
WIDTH, HEIGHT, RATE = 1280, 720, Fraction(30)
"""Of the video that `auto` is asked about."""


def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can run: CPU features, engines, GPUs, encoders, cameras, and what auto takes."""
    from streamtoon.machine import examine

    machine, auto = examine(), _auto()
    if as_json:
        print_json({**machine.as_dict(), "auto": auto})
        return
    screen = console(stderr=False)
    for table in (_machine(machine), _engines(machine), _auto_table(auto), _encoders(machine)):
        screen.print(table)
    for line in _advice(machine):
        screen.print(line)


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_style="bold", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    table.show_header = any(columns)
    return table


def _machine(machine: Machine) -> Table:
    table = _table("Machine", "", "")
    features = {
        name: "unknown" if has is None else YES if has else NO for name, has in machine.cpu.features.items()
    }
    table.add_row("CPU", f"{machine.cpu.model}, {machine.cpu.cores} cores")
    table.add_row("CPU features", ", ".join(f"{name} {has}" for name, has in features.items()))
    table.add_row("Memory", "unknown" if machine.memory_gb is None else f"{machine.memory_gb} GB")
    table.add_row("NVIDIA GPU", "\n".join(map(_gpu, machine.gpus)) or "none found")
    if machine.cuda is not None:
        table.add_row("CUDA", _cuda(machine.cuda))
        kept = f"{machine.cuda.plans} kept, {machine.cuda.plans_mb} MB (streamtoon engine list)"
        table.add_row("TensorRT engines", kept if machine.cuda.plans else "none kept")
        decoded = [decoder.codec for decoder in machine.decoders if decoder.works]
        table.add_row("NVDEC", ", ".join(decoded) or "does not decode here")
    table.add_row(
        "Cameras", "\n".join(f"{each.name} ({each.device})" for each in machine.cameras) or "none found"
    )
    table.add_row("System", f"{machine.system}, Python {machine.python}")
    return table


def _gpu(gpu: Gpu) -> str:
    capability = f", compute capability {gpu.compute_capability}" if gpu.compute_capability else ""
    return f"{gpu.name}, {gpu.memory_gb} GB{capability}, driver {gpu.driver}"


def _cuda(cuda: Cuda) -> str:
    """Which versions meet here: by its major number, none may be later than the driver's."""
    others = {"torch": cuda.torch, "TensorRT": cuda.tensorrt}
    built = [f"{name} is built for {version}" for name, version in others.items() if version]
    return ", ".join([f"the driver serves {cuda.driver or 'none'}", *built])


def _engines(machine: Machine) -> Table:
    table = _table("Engines", "engine", "version", "devices and precisions")
    for row in machine.engines:
        version = row.version if row.present else "missing"
        table.add_row(row.name, version, _devices(row), style="" if row.present else "dim")
    return table


def _devices(row: BackendRow) -> str:
    if not row.present:
        return printable(row.problem)
    return "\n".join(f"{device}: {', '.join(precisions)}" for device, precisions in row.devices.items())


def _auto() -> dict[str, Any]:
    """What `auto` takes for a common video in the default style, tried here; why not, where it cannot."""
    from engines.errors import StreamtoonError
    from engines.opening import open_engine
    from engines.style import DEFAULT_STYLE

    asked = {"style": DEFAULT_STYLE, "width": WIDTH, "height": HEIGHT, "rate": float(RATE)}
    try:
        with open_engine(DEFAULT_STYLE, width=WIDTH, height=HEIGHT, rate=RATE) as engine:
            facts = engine.facts
    except StreamtoonError as error:
        return {**asked, "problem": str(error)}
    took = {name: getattr(facts, name) for name in ("backend", "device", "precision", "generator", "quality")}
    return {**asked, **took, "reason": facts.reason, "problem": ""}


def _auto_table(auto: dict[str, Any]) -> Table:
    size, rate = f"{auto['width']}x{auto['height']}", f"{auto['rate']:g} a second"
    table = _table(f"What auto takes for {size} at {rate}", "", "")
    table.add_row("style", auto["style"])
    if auto["problem"]:
        table.add_row("problem", printable(auto["problem"]))
        return table
    table.add_row("engine", f"{auto['backend']} {auto['precision']} on {auto['device']}")
    table.add_row("quality", f"{auto['quality']}, network {auto['generator']}")
    table.add_row("why", auto["reason"])
    return table


def _encoders(machine: Machine) -> Table:
    table = _table("Video encoders", "codec", "in software", "in hardware here", "not usable here")
    for codec in dict.fromkeys(encoder.codec for encoder in machine.encoders):
        own = [encoder for encoder in machine.encoders if encoder.codec == codec]
        hardware = [encoder for encoder in own if encoder.hardware]
        table.add_row(
            codec,
            ", ".join(encoder.name for encoder in own if not encoder.hardware) or "none",
            ", ".join(encoder.name for encoder in hardware if encoder.works) or "none",
            ", ".join(encoder.name for encoder in hardware if not encoder.works),
        )
    return table


def _advice(machine: Machine) -> list[str]:
    """How to get what is missing and this machine could use."""
    missing = [row for row in machine.engines if not row.present]
    missing = [row for row in missing if row.name != "tensorrt" or machine.gpus]
    if not missing:
        return ["Every engine that this machine can use is here."]
    width = max(len(row.name) for row in missing)
    return ["To add an engine:", *(f"  {row.name:<{width}}  {row.install}" for row in missing)]
