"""`streamtoon doctor`: what this machine can run."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from streamtoon.cli.common import JsonOption, console, print_json, printable

if TYPE_CHECKING:
    from rich.table import Table

    from engines.backends.selection import BackendRow
    from streamtoon.tools.system_info import Cuda, GpuInfo, Machine

YES, NO = "yes", "no"
WIDTH, HEIGHT, RATE = 1280, 720, Fraction(30)
"""The video that `auto` is tried on."""


def doctor(as_json: JsonOption = False) -> None:
    """Show what this machine can run: CPU features, engines, GPUs, encoders, cameras, and auto's choice."""
    from streamtoon.tools.system_info import examine

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
        cached = f"{machine.cuda.plans} cached, {machine.cuda.plans_mb} MB (streamtoon engine list)"
        table.add_row("TensorRT engines", cached if machine.cuda.plans else "none cached")
        decoded = [decoder.codec for decoder in machine.decoders if decoder.works]
        table.add_row("NVDEC", ", ".join(decoded) or "not usable here")
    table.add_row(
        "Cameras", "\n".join(f"{each.name} ({each.device})" for each in machine.cameras) or "none found"
    )
    table.add_row("System", f"{machine.system}, Python {machine.python}")
    return table


def _gpu(gpu: GpuInfo) -> str:
    capability = f", compute capability {gpu.compute_capability}" if gpu.compute_capability else ""
    return f"{gpu.name}, {gpu.memory_gb} GB{capability}, driver {gpu.driver}"


def _cuda(cuda: Cuda) -> str:
    """List the CUDA versions: none may have a higher major number than the driver's."""
    others = {"torch": cuda.torch, "TensorRT": cuda.tensorrt}
    built = [f"{name} built for {version}" for name, version in others.items() if version]
    return ", ".join([f"driver supports {cuda.driver or 'none'}", *built])


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
    """Return what `auto` chooses for a common video in the default style, or why it fails."""
    from engines.errors import StreamtoonError
    from engines.factory import open_engine
    from engines.registry.style import DEFAULT_STYLE, load_style
    from engines.settings import EngineSettings

    asked = {"style": DEFAULT_STYLE, "width": WIDTH, "height": HEIGHT, "rate": float(RATE)}
    try:
        with open_engine(
            EngineSettings(load_style(DEFAULT_STYLE)), width=WIDTH, height=HEIGHT, rate=RATE
        ) as engine:
            facts = engine.facts
    except StreamtoonError as error:
        return {**asked, "problem": str(error)}
    took = {name: getattr(facts, name) for name in ("backend", "device", "precision", "generator", "quality")}
    return {**asked, **took, "reason": facts.reason, "problem": ""}


def _auto_table(auto: dict[str, Any]) -> Table:
    size, rate = f"{auto['width']}x{auto['height']}", f"{auto['rate']:g} fps"
    table = _table(f"The choice of auto for {size} at {rate}", "", "")
    table.add_row("style", auto["style"])
    if auto["problem"]:
        table.add_row("problem", printable(auto["problem"]))
        return table
    table.add_row("engine", f"{auto['backend']} {auto['precision']} on {auto['device']}")
    table.add_row("quality", f"{auto['quality']}, network {auto['generator']}")
    table.add_row("why", auto["reason"])
    return table


def _encoders(machine: Machine) -> Table:
    table = _table("Video encoders", "codec", "software", "hardware", "not usable here")
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
    """List missing engines that would help on this machine, with the command that installs them."""
    wanted = {
        "openvino": "the fastest on a processor",
        "onnxruntime": "a second engine, needed by styles add",
    }
    if machine.gpus:  # on a CPU, torch is the slowest engine, and TensorRT does not run
        wanted |= {"torch": "draws on the NVIDIA GPU", "tensorrt": "the fastest on the NVIDIA GPU"}
    missing = [row for row in machine.engines if row.name in wanted and not row.present]
    if not missing:
        return ["All engines that suit this machine are installed."]
    lines = [f"  {row.name}, {wanted[row.name]}:\n    {row.install}" for row in missing]
    return ["To add an engine:", *lines]
