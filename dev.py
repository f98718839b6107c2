#!/usr/bin/env python3
"""Everything one does to this checkout: `python3 dev.py COMMAND [arguments]`.

    demo       show ctxplug at work on a sample conversation
    test       run the tests; arguments go to pytest
    setup      make or refresh the environment in .venv
    lint       ruff's rules and format, and the rules of tests/test_house.py
    types      mypy --strict
    contracts  who may import whom
    docs       build the site into .docs, strictly
    bench      run every benchmark, beside the peers that are installed; `bench --small` is quick
    wheels     build every distribution, install each alone, run its own tests; `wheels lowest`
               and `wheels newest` with its declared dependencies at these versions
    lock       refresh constraints.txt: names and versions, no addresses
    cov        run the tests and show what they did not reach

It needs Python 3.11 with pip, or uv. Whatever it installs stays in the checkout (.uv, .venv,
.wheels). An index that pip is configured for is used for uv as well.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets this far, and should be told
    sys.exit(
        f"ctxplug needs Python 3.11 or newer, and {sys.executable} is"
        f" {sys.version_info[0]}.{sys.version_info[1]}. Run dev.py with a newer one, for example:"
        f" python3.12 dev.py {' '.join(sys.argv[1:])}"
    )

import tomllib

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = "Scripts" if os.name == "nt" else "bin"
CONSTRAINTS = ROOT / "constraints.txt"
OLDEST_UV = (0, 8)
COVERAGE = ROOT / ".coverage.txt"
LINES_THAT_RUN = 90  # per cent, at least
ON_ALL_CORES = ("-n", "auto", "--maxprocesses", "8")
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


# What `wheels` may install beside a wheel: said of it, and what uv is told.
VERSIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "held": ("as constraints.txt holds them", ("-c", str(CONSTRAINTS))),
    "lowest": ("at their lowest", ("--resolution", "lowest-direct")),
    "newest": ("at their newest", ("--upgrade",)),
}
# Tests that take long, and whose subject does not depend on what else is installed.
SAME_ALONE = (
    "test_access_*.py",
    "test_advice.py",
    "test_agent_edges.py",
    "test_agents.py",
    "test_analysis*.py",
    "test_anthropic_format.py",
    "test_archive.py",
    "test_argument_survival.py",
    "test_audit_*.py",
    "test_backends.py",
    "test_benchmarks.py",
    "test_beside.py",
    "test_calibration.py",
    "test_cancellation.py",
    "test_capture.py",
    "test_chat_*.py",
    "test_chroma_backend.py",
    "test_claude_page.py",
    "test_clear_tool_results.py",
    "test_cli_*.py",
    "test_combined_scorer.py",
    "test_compaction*.py",
    "test_comparison.py",
    "test_consolidation.py",
    "test_container_files.py",
    "test_context_edit.py",
    "test_context_policy.py",
    "test_dedupe.py",
    "test_distributions.py",
    "test_docs_site.py",
    "test_digest.py",
    "test_doctor.py",
    "test_drop_low_priority.py",
    "test_durability.py",
    "test_edits.py",
    "test_engines.py",
    "test_erase.py",
    "test_exchange.py",
    "test_expand.py",
    "test_extractive.py",
    "test_flaws.py",
    "test_forks.py",
    "test_gemini_format.py",
    "test_guarding.py",
    "test_house.py",
    "test_idempotency.py",
    "test_inspector.py",
    "test_isolation*.py",
    "test_ledger.py",
    "test_lifecycle.py",
    "test_live*.py",
    "test_memory_arguments.py",
    "test_memory_exchange.py",
    "test_merge_similar.py",
    "test_middleware_loop.py",
    "test_middleware_state.py",
    "test_model_server.py",
    "test_monitoring*.py",
    "test_namespaces_apart.py",
    "test_openai_format.py",
    "test_openapi.py",
    "test_prefix_stability.py",
    "test_prose_*.py",
    "test_recall_ranking.py",
    "test_remote_*.py",
    "test_replay_exact.py",
    "test_report.py",
    "test_reserved.py",
    "test_new_plugin.py",
    "test_*notebooks.py",
    "test_retention_benchmark.py",
    "test_rights.py",
    "test_salience.py",
    "test_same_behaviour*.py",
    "test_scorers.py",
    "test_sections.py",
    "test_sentences.py",
    "test_server_load.py",
    "test_sessions*.py",
    "test_settings.py",
    "test_shape_tool_results.py",
    "test_sqlite_*.py",
    "test_store_*.py",
    "test_summarize.py",
    "test_superseding.py",
    "test_table_form.py",
    "test_text2sql_example.py",
    "test_tiers.py",
    "test_tool_executor.py",
    "test_tool_processes.py",
    "test_tools_*.py",
    "test_trace_*.py",
    "test_trust.py",
    "test_usage.py",
    "test_tutorial.py",
    "test_validity.py",
    "test_viewer_*.py",
    "test_viewing*.py",
    "test_window_*.py",
)


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"dev: {text}", flush=True)


def run(*command: object, cwd: object = ROOT, env: dict[str, str] | None = None) -> None:
    """Run `command`, in the checkout if not elsewhere; end with its exit code if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=str(cwd), env=env)
    if done.returncode:
        sys.exit(done.returncode if done.returncode > 0 else 1)


def output_of(*command: object) -> str:
    """Return what `command` prints, or "" if it cannot run."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


# -- the environment ---------------------------------------------------------------


def members() -> list[Path]:
    """Return the folders of the other distributions of this workspace."""
    groups = (ROOT / "integrations", ROOT / "plugins")
    return sorted(project.parent for group in groups for project in group.glob("*/pyproject.toml"))


def find_uv() -> str:
    """Return a uv that runs: from PATH, or from .uv, where it is installed at need."""
    local = ROOT / ".uv" / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    for uv in (shutil.which("uv"), str(local)):
        version = re.match(r"uv (\d+)\.(\d+)", output_of(uv, "--version") if uv else "")
        if uv and version and tuple(map(int, version.groups())) >= OLDEST_UV:
            return uv
    say("installing uv into .uv")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--upgrade"]
    quiet = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run([*pip, "--target", str(local.parents[1]), "uv"], env=quiet).returncode:
        sys.exit(
            f"dev: pip could not install uv (see above). Give {sys.executable} a pip that reaches"
            " a package index, or install uv yourself, then run this again."
        )
    return str(local)


def uv_environment() -> dict[str, str]:
    """Return the environment for uv, with pip's configured index where uv has none."""
    found: dict[str, str] = {}
    listed = output_of(sys.executable, "-m", "pip", "config", "list").splitlines()
    for line in sorted(listed, key=lambda line: line.startswith(":env:")):  # these win: last
        key, _, value = line.partition("=")
        name = PIP_TO_UV.get(key.rpartition(".")[2])
        if name:
            between = "," if name == "UV_FIND_LINKS" else " "
            found[name] = between.join(ast.literal_eval(value).split())
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # how pip treats several indexes
    chosen = any(name.startswith("UV_") and "INDEX" in name for name in os.environ)
    return {**({} if chosen else found), **os.environ}


def works(venv: Path) -> bool:
    """Say whether `venv` holds a Python that is new enough."""
    version = output_of(python_of(venv), "-c", "import sys; print(sys.version_info >= (3, 11))")
    return version.strip() == "True"


def python_of(venv: Path) -> Path:
    """Return the path of the Python in `venv`."""
    return venv / BIN / "python"


def fingerprint() -> str:
    """Return a hash of all that decides what .venv holds."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in [ROOT / "pyproject.toml", CONSTRAINTS, *(m / "pyproject.toml" for m in members())]:
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()


def setup() -> None:
    """Make .venv and install the whole workspace into it, unless nothing has changed."""
    stamp = VENV / "dev-stamp"
    fresh = works(VENV)
    if fresh and stamp.exists() and stamp.read_text() == fingerprint():
        return
    uv, environment = find_uv(), uv_environment()
    if not fresh:
        say(f"making .venv with Python {sys.version.split()[0]}")
        run(uv, "venv", "-q", "--clear", "--python", sys.executable, VENV, env=environment)
    parts = [ROOT, *members()]
    say(f"installing ctxplug, {len(parts) - 1} more and the tools, held by constraints.txt")
    editable = [argument for part in parts for argument in ("-e", part)]
    install = [uv, "pip", "install", "-q", "--python", python_of(VENV), "-c", CONSTRAINTS]
    run(*install, *editable, "--group", "dev", *member_groups(), env=environment)
    stamp.write_text(fingerprint())


def tool(name: str, *arguments: object) -> None:
    """Run a program of the environment."""
    setup()
    run(VENV / BIN / name, *arguments)


# -- commands ----------------------------------------------------------------------


def demo(*arguments: str) -> None:
    """Run `ctxplug demo`."""
    tool("ctxplug", "demo", *arguments)


def test(*arguments: str) -> None:
    """Run pytest on both cores, and on more where there are more.

    Without arguments, which is all of it, the lines of ctxplug/ that ran are counted too, and
    too few fail.
    """
    if arguments:
        tool("pytest", *ON_ALL_CORES, *arguments)
        return
    ran = measured()
    say(f"{ran:.1f} % of the lines of ctxplug/ ran; `dev.py cov` lists the others")
    if ran < LINES_THAT_RUN:
        sys.exit(f"dev: at least {LINES_THAT_RUN} % are to run")


def measured(*arguments: str) -> float:
    """Run pytest, write which lines ran, and return their share in per cent.

    It takes about a tenth more time than without.
    """
    setup()
    path = os.pathsep.join(filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as counts:
        environment = {**os.environ, "PYTHONPATH": path, "CTXPLUG_LINES": counts}
        pytest = [VENV / BIN / "pytest", "-p", "lines_that_ran", *ON_ALL_CORES, *arguments]
        run(*pytest, env=environment)
        merged = Path(counts) / "merged"
        merge = ["--merge", *sorted(Path(counts).glob("*.json")), "--out", merged]
        table = output_of(VENV / BIN / "slipcover", *merge, "--skip-covered")
        COVERAGE.write_text(table)
        return float(json.loads(merged.read_text())["summary"]["percent_covered"])


def lint() -> None:
    """Check style and format; the house rules are tests."""
    tool("ruff", "check", "--quiet", ".")
    tool("ruff", "format", "--quiet", "--check", ".")


def types() -> None:
    """Check types."""
    tool("mypy")


def contracts() -> None:
    """Check who imports whom."""
    tool("lint-imports")


def docs(*arguments: str) -> None:
    """Build the site into .docs/html, strictly and anew; arguments go to sphinx-build."""
    site = ROOT / ".docs"
    shutil.rmtree(site, ignore_errors=True)  # what was built before keeps warnings that are mended
    strictly = ["-q", "-W", "--keep-going", "-j", "auto", "-b", "html", "-c", "docs"]
    tool("sphinx-build", *strictly, "-d", site / "doctrees", *arguments, ".", site / "html")


def bench(*arguments: str) -> None:
    """Run the benchmarks beside the peers that are installed here; arguments go to run_all.py."""
    setup()
    run(VENV / BIN / "python", ROOT / "benchmarks" / "run_all.py", *arguments)


def cov(*arguments: str) -> None:
    """Run the tests and list the lines that no test reached."""
    measured(*arguments)
    print(COVERAGE.read_text())


def lock() -> None:
    """Write constraints.txt anew, with the newest versions that fit together."""
    projects = [ROOT / "pyproject.toml", *(m / "pyproject.toml" for m in members())]
    plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    wide = ["--universal", "--fork-strategy", "fewest", "--all-extras", "--group", "dev"]
    wide += member_groups()
    compile_all = [find_uv(), "pip", "compile", "-q", *plain, *wide, *projects]
    done = subprocess.run(
        [str(part) for part in compile_all],
        cwd=ROOT,
        env=uv_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(done.returncode)
    lines = (line.partition(";")[0].strip() for line in done.stdout.splitlines())
    pins = sorted({line for line in lines if re.fullmatch(r"[\w.-]+==[\w.!+-]+", line)})
    CONSTRAINTS.write_text("".join(f"{pin}\n" for pin in pins))
    say(f"constraints.txt holds {len(pins)} names and versions")


def wheels(*arguments: str) -> None:
    """Build every distribution's wheel and test each where nothing else is installed.

    With `lowest` or `newest`, each has its declared dependencies at their lowest or newest
    versions in place of those of constraints.txt. Names choose some of the distributions.
    """
    setup()
    versions = [a for a in arguments if a in VERSIONS] or ["held"]
    chosen = [part for part in (ROOT, *members()) if name_of(part) in arguments]
    unknown = {*arguments} - {*VERSIONS} - {name_of(part) for part in chosen}
    if unknown or len(versions) > 1:
        known = [*VERSIONS, *map(name_of, (ROOT, *members()))]
        sys.exit(f"dev: wheels takes one of {known[:3]} and names out of {known[3:]}.")
    dist = ROOT / ".wheels"
    shutil.rmtree(dist, ignore_errors=True)
    ours = build_wheels(dist)
    for part in chosen or (ROOT, *members()):
        say(f"testing {name_of(part)} alone, its dependencies {VERSIONS[versions[0]][0]}")
        venv = dist / name_of(part) / "venv"
        install_alone(venv, part, ours, VERSIONS[versions[0]][1])
        test_alone(venv, part, SAME_ALONE if versions == ["held"] else ())


def build_wheels(dist: Path) -> Path:
    """Build all wheels into `dist`; return a file that holds the workspace's names to them."""
    uv, environment = find_uv(), uv_environment()
    lines = []
    for part in (ROOT, *members()):
        name = name_of(part)
        say(f"building {name}")
        build = [uv, "build", "-q", "--wheel", "--build-constraints", CONSTRAINTS]
        run(*build, "--out-dir", dist / name, part, env=environment)
        (wheel,) = (dist / name).glob("*.whl")
        lines.append(f"{name} @ {wheel.as_uri()}\n")
    ours = dist / "ours.txt"
    ours.write_text("".join(lines))
    return ours


def install_alone(venv: Path, part: Path, ours: Path, versions: tuple[str, ...]) -> None:
    """Make `venv` with the wheel of `part`, its dependencies and what its tests need."""
    uv, environment = find_uv(), uv_environment()
    (wheel,) = (ours.parent / name_of(part)).glob("*.whl")
    run(uv, "venv", "-q", "--python", python_of(VENV), venv, env=environment)
    install = [uv, "pip", "install", "-q", "--python", python_of(venv), *versions, "-c", ours]
    run(*install, wheel, *declared(part), *test_groups(part), env=environment)


def declared(part: Path) -> list[str]:
    """Return the dependencies that `part` declares: named to uv, they are direct ones."""
    return list(tomllib.loads((part / "pyproject.toml").read_text())["project"]["dependencies"])


def name_of(part: Path) -> str:
    """Return the name of the distribution in `part`."""
    return str(tomllib.loads((part / "pyproject.toml").read_text())["project"]["name"])


def member_groups() -> list[str]:
    """Return uv's arguments for what the tests of the members need beyond the common tools."""
    own = (argument for part in members() for argument in test_groups(part))
    root = {"--group", f"{ROOT / 'pyproject.toml'}:test"}
    return [a for name in dict.fromkeys(own) if name not in root for a in ("--group", name)]


def test_groups(part: Path) -> list[str]:
    """Return uv's arguments for the common test tools and those `part` adds of its own."""
    own = tomllib.loads((part / "pyproject.toml").read_text()).get("dependency-groups", {})
    places = {ROOT, part} if "test" in own else {ROOT}
    return [a for p in sorted(places) for a in ("--group", f"{p / 'pyproject.toml'}:test")]


def test_alone(venv: Path, part: Path, leave_out: Sequence[str]) -> None:
    """Run the tests of `part` against its installed wheel, and never against the checkout."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    for cache in VENV.glob("lib/python*/site-packages/llama_index/core/_static/tiktoken_cache"):
        environment.setdefault("TIKTOKEN_CACHE_DIR", str(cache))  # data, not a dependency
    config = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, *ON_ALL_CORES]
    config += [f"--ignore-glob={part / 'tests' / name}" for name in leave_out]
    with tempfile.TemporaryDirectory() as elsewhere:
        pytest = [venv / BIN / "pytest", *config, "-p", "no:cacheprovider", part / "tests"]
        run(*pytest, cwd=elsewhere, env=environment)


COMMANDS = (demo, test, setup, lint, types, contracts, docs, bench, wheels, lock, cov)


def main(arguments: list[str]) -> None:
    """Run the command named first, with the rest."""
    by_name = {command.__name__: command for command in COMMANDS}
    if not arguments or arguments[0] not in by_name:
        sys.exit(__doc__)
    by_name[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
