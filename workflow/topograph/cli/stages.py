"""Commands that run one stage of a study without Snakemake: same code, same files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topograph.cli.reporting import run_claims, run_figure, templates
from topograph.cli.selection import Selection, recorded
from topograph.config.models import (
    METHODS,
    Baselines,
    JumpRetrain,
    Landscape,
    Method,
    Spectrum,
    first_settings,
)
from topograph.config.runs import (
    Cell,
    labels_of,
)
from topograph.data.sources import files_of
from topograph.foundation.storage import read_dataset, read_table

STAGES = {
    "train": "train every seed of a cell; finished seeds and epochs are kept",
    "sample": "sample the landscapes of trained cells",
    "spectrum": "compute eigenvalues, traces and spectral densities of trained cells",
    "topology": "compute trees, diagrams and quantities of landscapes, and their pages",
    "jump": "jump from trained weights and retrain",
    "baselines": "sample grids and rays around trained weights, without retraining",
    "embed": "map the points of trajectories and compute their homology",
    "method": "interpolate, slice, map, measure and compare trained networks",
    "claims": "test every published claim on the tables of finished results",
    "figure": "run the notebooks of figures on finished results",
}


def add_commands(commands: Any) -> None:
    """Add a command for each stage."""
    for name, help_text in STAGES.items():
        stage = commands.add_parser(name, help=help_text, description=help_text)
        stage.add_argument("study", help="a file of config/")
        what = "figures by id" if name == "figure" else "runs, or experiments by name"
        only = f"{what}, before any option; all by default"
        if name != "claims":
            stage.add_argument("only", nargs="*", metavar="name", help=only)
        if name not in ("train", "claims", "figure"):
            stage.add_argument("--analysis", help="one analysis by name; all by default")
        if name in ("sample", "spectrum", "jump", "method"):
            stage.add_argument("--device", default="cpu", help="cpu (default) or cuda")
        stage.add_argument(
            "--threads",
            type=int,
            choices=range(1, 1025),
            metavar="COUNT",
            default=1,
            help="1 by default, as in the workflow",
        )
        stage.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    study = Selection(options)
    if options.command == "train":
        for cell in study.cells():
            _train(study, cell)
    elif options.command == "claims":
        run_claims(study)
    elif options.command == "figure":
        for figure in study.figures():
            run_figure(study, figure)
    else:
        kind, stage = ANALYSES[options.command]
        for cell, name, analysis in study.analyses(kind):
            stage(study, cell, name, analysis)


def _train(study: Selection, cell: Cell) -> None:
    from topograph.families.training import family_of, train

    names = {
        "weights": "weights.safetensors",
        "history": "history.parquet",
        "metrics": "metrics.parquet",
        "predictions": "predictions.nc",
    }
    outputs = {name: study.file("train", cell, file) for name, file in names.items()}
    scratch = study.file("scratch", cell, "training")
    parameters: dict[str, Any] = {"cell": cell.to_dict(), "scratch": scratch}
    with recorded(study, "train", outputs, _data(cell), parameters, modules=cell.modules) as data:
        train(cell, Path(outputs["weights"]).parent, scratch=scratch)
        data |= family_of(cell.training).data_sums(cell.training)


def _data(cell: Cell) -> dict[str, str]:
    data = getattr(cell.training, "data", None)
    return {path: path for path in files_of(data.target)} if data else {}


def _weights(study: Selection, cell: Cell) -> dict[str, str]:
    return _data(cell) | {"weights": study.file("train", cell, "weights.safetensors")}


def _landscape(study: Selection, cell: Cell, name: str) -> dict[str, str]:
    return {
        "landscape": study.file("landscape", cell, f"{name}.nc"),
        "directions": study.file("landscape", cell, f"{name}.directions.safetensors"),
    }


def _first_parameters(study: Selection, cell: Cell, name: str, analysis: Any) -> dict[str, Any]:
    """Return the parameters of the job that begins an analysis."""
    return {
        "cell": cell.to_dict(),
        "analysis": first_settings(analysis),
        "scratch": study.file("scratch", cell, f"analyses/{name}"),
    }


def _sample(study: Selection, cell: Cell, name: str, analysis: Landscape) -> None:
    from topograph.landscape.analysis import write_landscapes

    outputs, inputs = _landscape(study, cell, name), _weights(study, cell)
    parameters = _first_parameters(study, cell, name, analysis)
    device = study.options.device
    with recorded(
        study, "sample_landscape", outputs, inputs, parameters, modules=cell.modules, device=device
    ):
        write_landscapes(
            cell,
            Landscape.model_validate(parameters["analysis"]),
            inputs["weights"],
            outputs["landscape"],
            directions=outputs["directions"],
            scratch=parameters["scratch"],
            code=parameters["code"],
            device=device,
        )


def _spectrum(study: Selection, cell: Cell, name: str, analysis: Spectrum) -> None:
    from topograph.landscape.curvature import write_spectra

    outputs = {
        "spectrum": study.file("spectrum", cell, f"{name}.nc"),
        "quantities": study.file("spectrum", cell, f"{name}.quantities.parquet"),
    }
    inputs = _weights(study, cell)
    parameters = _first_parameters(study, cell, name, analysis)
    device = study.options.device
    with recorded(
        study, "spectrum", outputs, inputs, parameters, modules=cell.modules, device=device
    ):
        write_spectra(
            cell,
            analysis,
            inputs["weights"],
            outputs["spectrum"],
            quantities=outputs["quantities"],
            scratch=parameters["scratch"],
            code=parameters["code"],
            device=device,
        )


def _topology(study: Selection, cell: Cell, name: str, analysis: Landscape) -> None:
    from topograph.topology.analysis import TABLES, write_topology

    tables = {table: study.file("topology", cell, f"{name}.{table}.parquet") for table in TABLES}
    inputs = _weights(study, cell) | _landscape(study, cell, name)
    parameters: dict[str, Any] = {"cell": cell.to_dict(), "analysis": analysis.model_dump()}
    with recorded(study, "topology", tables, inputs, parameters, modules=cell.modules):
        files = {key: inputs[key] for key in ("weights", "landscape", "directions")}
        write_topology(cell, analysis, **files, tables=tables)
    _profile_page(study, cell, name, analysis, inputs["landscape"], tables["pairs"])


def _profile_page(
    study: Selection,
    cell: Cell,
    name: str,
    analysis: Landscape,
    landscape: str,
    pairs: str,
) -> None:
    from topograph.report.profile_page import write_profile_page

    parameters: dict[str, Any] = {
        "study": study.study.study,
        "analysis": analysis.model_dump(),
        "labels": labels_of(study.asked.members, cell.run),
    }
    page = study.page(cell.run, name)
    inputs = {"landscape": landscape, "pairs": pairs}
    inputs |= templates("profile.html", "profile.js", "profile.css")
    with recorded(study, "profile_page", {"page": page}, inputs, parameters):
        write_profile_page(
            page,
            read_dataset(landscape),
            read_table(pairs),
            connectivity=analysis.connectivity,
            study=study.study.study,
            analysis=name,
            labels=parameters["labels"],
        )


def _jump(study: Selection, cell: Cell, name: str, analysis: JumpRetrain) -> None:
    from topograph.trajectory.jump_retrain import write_trajectories

    outputs = {"trajectory": study.file("trajectory", cell, f"{name}.nc")}
    inputs = _weights(study, cell)
    parameters = _first_parameters(study, cell, name, analysis)
    device = study.options.device
    with recorded(
        study, "jump_retrain", outputs, inputs, parameters, modules=cell.modules, device=device
    ):
        write_trajectories(
            cell,
            analysis,
            inputs["weights"],
            outputs["trajectory"],
            scratch=parameters["scratch"],
            device=device,
        )


def _baselines(study: Selection, cell: Cell, name: str, analysis: Baselines) -> None:
    from topograph.trajectory.baselines import write_baselines

    outputs = {
        table: study.file("baselines", cell, f"{name}.{table}.parquet")
        for table in ("points", "summary")
    }
    inputs = _weights(study, cell)
    parameters = _first_parameters(study, cell, name, analysis)
    with recorded(study, "baselines", outputs, inputs, parameters, modules=cell.modules):
        write_baselines(
            cell,
            analysis,
            inputs["weights"],
            outputs,
            scratch=parameters["scratch"],
        )


def _method(study: Selection, cell: Cell, name: str, analysis: Method) -> None:
    from topograph.methods.interpolation import write_interpolation
    from topograph.methods.similarity import write_similarity
    from topograph.methods.slices import write_slices
    from topograph.methods.topography import write_topography
    from topograph.methods.weights import write_weights

    writers: dict[str, Callable[..., None]] = {
        "interpolation": write_interpolation,
        "slices": write_slices,
        "topography": write_topography,
        "weights": write_weights,
        "similarity": write_similarity,
    }
    kind = analysis.kind
    outputs = {"results": study.file(kind, cell, f"{name}.nc")}
    outputs |= {table: study.file(kind, cell, f"{name}.{table}.parquet") for table in METHODS[kind]}
    inputs = _weights(study, cell)
    parameters = _first_parameters(study, cell, name, analysis)
    device = study.options.device
    with recorded(study, kind, outputs, inputs, parameters, modules=cell.modules, device=device):
        writers[kind](
            cell,
            analysis,
            inputs["weights"],
            outputs,
            scratch=parameters["scratch"],
            code=parameters["code"],
            device=device,
        )


def _embed(study: Selection, cell: Cell, name: str, analysis: JumpRetrain) -> None:
    from topograph.trajectory.analysis import write_homology
    from topograph.trajectory.maps import write_maps

    inputs = {"trajectory": study.file("trajectory", cell, f"{name}.nc")}
    parameters: dict[str, Any] = {"analysis": analysis.model_dump()}
    for rule, stage, write, tables in (
        ("embed", "embedding", write_maps, ("points", "entropy", "quality")),
        ("homology", "homology", write_homology, ("diagram", "statistics")),
    ):
        files = {table: study.file(stage, cell, f"{name}.{table}.parquet") for table in tables}
        with recorded(study, rule, files, inputs, parameters.copy()):
            write(inputs["trajectory"], analysis, files)


ANALYSES: dict[str, tuple[type, Callable[[Selection, Cell, str, Any], None]]] = {
    "sample": (Landscape, _sample),
    "spectrum": (Spectrum, _spectrum),
    "topology": (Landscape, _topology),
    "jump": (JumpRetrain, _jump),
    "baselines": (Baselines, _baselines),
    "embed": (JumpRetrain, _embed),
    "method": (Method, _method),
}
