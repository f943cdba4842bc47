"""The command ``embedlab``; what the make targets do, for those without make."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from embedlab.course.stopping import stoppable
from embedlab.settings import (
    CHECKOUT,
    HOME,
    NOTEBOOKS,
    PACKAGE,
    ROOT,
    STARTED,
    make_folders_absolute,
    use_reference_arithmetic,
    wanted_dataset,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run, test and extend the embedlab course.",
)
Dataset = Annotated[
    str | None,
    typer.Option(help="digits, photo-crops, faces, fashion-mnist, cifar10 or folder:PATH."),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="How many at a time; default one a core.")]
Only = Annotated[str | None, typer.Option(help="One lesson, by its number: 02.")]
MORE_WORDS = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.callback()
def _prepare() -> None:
    make_folders_absolute()
    try:
        use_reference_arithmetic()  # for this process and for those that it starts
    except ValueError as error:
        raise _fail(error) from error


def _fail(message: object) -> typer.Exit:
    typer.echo(f"embedlab: {message}", err=True)
    return typer.Exit(2)


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)  # past a progress bar


def _need_lessons() -> None:
    if not (STARTED or CHECKOUT):
        raise _fail("no lessons here: `embedlab start FOLDER` lays them into a folder; go there.")


def _need_checkout(command: str) -> None:
    if not CHECKOUT or STARTED:
        raise _fail(f"{command} is for the course's own code and tests: run it in their checkout.")


@app.command()
def start(folder: Annotated[Path, typer.Argument(help="New, or one that was started.")]) -> None:
    """Put the lessons into a folder, or bring them up to date; one that you edited is kept."""
    from embedlab.course.start import lay_lessons

    try:
        for line in lay_lessons(folder):
            typer.echo(line)
    except OSError as error:
        raise _fail(error) from error
    typer.echo(f"Ready: cd {folder}, then `embedlab lab` opens the first lesson.")


@app.command()
def doctor(
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Make this machine's arithmetic the book's.")
    ] = False,
) -> None:
    """Say what is installed, what this machine has, and which command gets what is missing."""
    from embedlab.course import doctor as module

    if adopt:
        _need_checkout("doctor --adopt")
        try:
            module.adopt()
        except ValueError as error:
            raise _fail(error) from error
    module.report()


@app.command()
def course(
    dataset: Dataset = None,
    only: Only = None,
    jobs: Jobs = None,
    claims: Annotated[bool, typer.Option("--claims", help="Print each with its interval.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where a verdict is not the one on record.")
    ] = False,
) -> None:
    """Run the lessons, then show the scoreboard, the claims and where the pages are."""
    _need_lessons()
    dataset = dataset or wanted_dataset()
    if dataset == "faces":
        raise _fail("faces has two classes, and the lessons need at least five.")
    if dataset and dataset.startswith("folder:"):  # kernels start where the lessons are
        dataset = f"folder:{Path(dataset.removeprefix('folder:')).expanduser().resolve()}"
    with stoppable():
        from embedlab.course.run import run_course
        from embedlab.data.download import DataUnavailable, fetch, manifest

        try:
            if dataset in manifest():
                fetch(dataset)  # once, before every lesson asks for it
            status = run_course(dataset, only, jobs, claims, strict)
        except (ValueError, DataUnavailable) as error:
            raise _fail(error) from error
    raise typer.Exit(status)


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="fashion-mnist, cifar10; or text:, image:, timm:, clip: or torchvision:MODEL"
        ),
    ],
) -> None:
    """Download image sets, their checksums verified, or a model's weights; each once."""
    from embedlab.data import download as sources
    from embedlab.data.weights import FETCH

    sets = [name for name in names if not name.startswith(tuple(f"{kind}:" for kind in FETCH))]
    unknown = sorted(set(sets) - set(sources.manifest()))
    if unknown:
        known, kinds = ", ".join(sources.manifest()), ", ".join(f"{k}:MODEL" for k in FETCH)
        raise _fail(f"no such set: {', '.join(unknown)}. Use {known} or {kinds}.")
    for name in names:
        try:
            kind, _, model = name.partition(":")
            if kind in FETCH:
                typer.echo(f"{name}: {FETCH[kind](model)}")
                continue
            paths = sources.fetch(name)
        except (sources.DataUnavailable, ValueError) as error:
            raise _fail(error) from error
        typer.echo(f"{name}: {len(paths)} files in {sources.data_home()}, verified")


@app.command()
def embed(
    files: Annotated[list[str], typer.Argument(help="Pictures, or a quoted glob: 'photos/*.jpg'.")],
    out: Annotated[Path, typer.Option(help="Folder of the vectors; goes on where it was.")],
    model: Annotated[
        str, typer.Option(help="resnet50, timm/NAME, openai/clip-..., a folder, a saved embedder.")
    ] = "efficientnet-lite0",
    workers: Annotated[int | None, typer.Option(min=1, help="Default one a core.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time, each worker.")] = 32,
) -> None:
    """Embed pictures into a folder of Parquet files; those whose content is in it are left out.

    Stopped by Ctrl-C or killed, the same command goes on where it was. What cannot be embedded is
    named, and makes the exit status 1.
    """
    with stoppable():
        from embedlab.data.things import find_files
        from embedlab.embedders.anything import find_embedder, key_of
        from embedlab.embedders.files import embed_into
        from embedlab.search.shards import writing

        try:
            paths = [path for name in files for path in find_files(name)]
            embedder = find_embedder("pictures", model)
            with writing(out, key_of(embedder, model)) as writer:
                done = embed_into(writer, paths, embedder, workers, batch_size, _say)
        except (ValueError, OSError) as error:
            raise _fail(error) from error
    typer.echo(
        f"{out}: {done.embedded:,} embedded, {done.known:,} known before or the same as another, "
        f"{len(done.failed):,} failed"
    )
    raise typer.Exit(bool(done.failed))


@app.command()
def similar(
    picture: Annotated[str, typer.Argument(help="A file.")],
    vectors: Annotated[Path, typer.Argument(help="A folder that `embedlab embed` filled.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 5,
) -> None:
    """Name the embedded pictures nearest to a picture, each with its cosine."""
    from embedlab.lessons.lookalikes import similar as find

    try:
        typer.echo(repr(find(picture, vectors, k)))
    except (ValueError, OSError) as error:
        raise _fail(error) from error


@app.command()
def evidence(
    names: Annotated[list[str] | None, typer.Argument(help="Default: every experiment.")] = None,
    dataset: Dataset = None,
    jobs: Jobs = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A condition, such as SimCLR; keeps the other rows.")
    ] = None,
) -> None:
    """Run the sweeps, seeds and ablations whose results the lessons draw, and store them.

    Stopped by Ctrl-C or killed, the same command goes on where it was.
    """
    with stoppable():
        from embedlab.data.download import DataUnavailable
        from embedlab.lessons.experiments import experiments, run
        from embedlab.lessons.ledger import forget

        known = experiments()
        unknown = sorted(set(names or ()) - set(known))
        if unknown:
            raise _fail(f"no such experiment: {', '.join(unknown)}. Use {', '.join(known)}.")
        if only and len(names or ()) != 1:
            raise _fail("--only needs the name of one experiment.")
        refused, done = [], []
        for name in names or known:
            for where in [dataset] if dataset else known[name].datasets:
                typer.echo(f"{name} on {where}: {known[name].about}")
                try:
                    path = run(name, where, jobs, only or None)
                except ValueError as error:
                    raise _fail(error) from error
                except DataUnavailable as error:
                    refused.append(f"{name} on {where}")
                    typer.echo(f"  NOT RUN. {error}", err=True)
                else:
                    done.append((name, where))
                    typer.echo(f"  written to {path.relative_to(HOME)}")
        for name, where in done:  # not before all is done: who stops the last keeps the first
            forget(name, where, only or None)
    if refused:
        raise _fail(f"{len(refused)} not run: {', '.join(refused)}")


@app.command()
def checkpoint() -> None:
    """Train the CLIP, prior and painter of lesson 06b anew and store them: some ten minutes."""
    _need_checkout("checkpoint")
    from embedlab.lessons.lesson_06b.experiments import make_checkpoint
    from embedlab.training.device import set_threads

    set_threads()
    path = make_checkpoint()
    typer.echo(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


@app.command()
def scoreboard(
    dataset: Annotated[str, typer.Option(help="Whose stored results to show.")] = "digits",
    markdown: Annotated[bool, typer.Option(help="As a Markdown table.")] = False,
    readme: Annotated[bool, typer.Option(help="Write it into README.md.")] = False,
) -> None:
    """Show the stored scoreboard, every method with its intervals."""
    from rich.console import Console

    from embedlab.course import readme as report
    from embedlab.measure.scoreboard import stored_rows
    from embedlab.show import tables

    rows = tables.numbers(stored_rows(dataset).values())
    if not rows:
        stored = sorted(p.parent.name for p in (ROOT / "results").glob("*/scoreboard.json"))
        raise _fail(
            f"no stored scoreboard for {dataset!r}. Stored: {', '.join(stored)}. "
            f"`embedlab evidence scoreboard --dataset {dataset}` makes one."
        )
    if readme:
        _need_checkout("scoreboard --readme")
        report.write_readme()
        typer.echo("README.md: the scoreboard is up to date")
    elif markdown:
        typer.echo(tables.markdown(rows))
    else:
        Console().print(tables.rich_table(rows, dataset))


@app.command(context_settings=MORE_WORDS)
def test(context: typer.Context) -> None:
    """Lint, then run the unit tests and every lesson under nbval. Extra words go to pytest."""
    _need_checkout("test")
    with stoppable():
        from embedlab.course.run import STRIP

        # The stored outputs are those of the embedded data on a CPU.
        environment = {**os.environ, "EMBEDLAB_DEVICE": "cpu"}
        for name in ("EMBEDLAB_DATASET", "EMBEDLAB_THREADS"):
            environment.pop(name, None)
        notebooks = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "notebooks").glob("*.ipynb"))
        steps = [
            ["ruff", "check", "."],
            ["ruff", "format", "--check", "."],
            ["nbstripout", *STRIP, "--verify", *notebooks],
            ["pytest", "-n", "auto", "--dist", "loadfile", *context.args],
        ]
        for module, *words in steps:
            command = [sys.executable, "-m", module, *words]
            try:
                typer.echo(f"$ {' '.join(command[2:])}")
                # In a session of its own it gets no Ctrl-C, and so leaves no kernel without parent.
                status = subprocess.Popen(
                    command, cwd=ROOT, env=environment, start_new_session=True
                ).wait()
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"Stopped in step {module}.") from None
            if status:
                raise typer.Exit(status)


@app.command(context_settings=MORE_WORDS)
def lab(context: typer.Context) -> None:
    """Open JupyterLab at the first lesson. Extra words go to jupyter lab."""
    _need_lessons()
    first = (NOTEBOOKS / "00_start_here.ipynb").relative_to(HOME).as_posix()
    quiet = str(PACKAGE / "course" / "templates" / "jupyter")  # no pop-up about Jupyter news
    path = os.pathsep.join(filter(None, [quiet, os.environ.get("JUPYTER_CONFIG_PATH")]))
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={HOME}", first]
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": path}
    try:
        done = subprocess.run([*command, *context.args], cwd=HOME, env=environment)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    raise typer.Exit(done.returncode)


@app.command()
def refresh(only: Only = None) -> None:
    """Execute the committed notebooks in place, for those who edit them."""
    _need_checkout("refresh")
    from embedlab.course.claims_page import write_claims_page
    from embedlab.course.run import lessons
    from embedlab.course.run import refresh as execute

    with stoppable():
        from embedlab.training.device import set_threads
        from embedlab.training.fingerprint import differing

        set_threads()
        if differing():
            raise _fail(
                "this is not the book's arithmetic, see embedlab doctor: no page is stored."
            )
        for path in lessons(only):
            execute(path)
            typer.echo(f"{path.name}: executed and cleaned")
        write_claims_page()


@app.command()
def calibrate(
    only: Only = None,
    check: Annotated[
        bool, typer.Option(help="Ten runs that the limits have not seen must stay within them.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Measure how far honest runs on other machines lie apart, for machines unlike the book's."""
    _need_checkout("calibrate")
    from embedlab.course.calibrate import calibrate as run
    from embedlab.course.run import lessons

    with stoppable():
        bad = run(lessons(only), check, jobs)
    for line in bad:
        typer.echo(line)
    typer.echo(f"{len(bad)} cells {'outside their limits' if check else 'that no limit can help'}")
    raise typer.Exit(bool(bad))


@app.command()
def mutants(
    lesson: Annotated[str | None, typer.Option(help="Only those of one lesson: 02.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Only this mutant.")] = None,
    native: Annotated[bool, typer.Option(help="Off the reference arithmetic.")] = False,
    jobs: Jobs = None,
) -> None:
    """Break the course on purpose, in a copy, and show that its tests notice each time."""
    _need_checkout("mutants")
    sys.path.insert(0, str(ROOT))  # the tests are beside the package, not in it
    from tests.mutants import run_all

    with stoppable():
        status = run_all(lesson, jobs, native, name or ())
    raise typer.Exit(status)


@app.command()
def anywhere(
    whole: Annotated[bool, typer.Option(help="More lessons, on the Intel one: hours.")] = False,
) -> None:
    """Show that emulated processors, Intel and AMD, give the same numbers to the last digit."""
    _need_checkout("anywhere")
    sys.path.insert(0, str(ROOT))
    from tests.anywhere import run_all

    with stoppable():
        try:
            status = run_all(whole)
        except OSError as error:
            raise _fail(error) from error
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
